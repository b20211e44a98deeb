"""A data set of what somebody gives: inputs with targets, three parts of them, or a Dataset of PyTorch's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from narrower.data.derived_targets import WITHOUT_TARGET, has_derived_targets
from narrower.data.given_inputs import GivenInputs, given_inputs, given_targets
from narrower.data.held_targets import held_targets
from narrower.data.parts import DataSet, Part
from narrower.data.prepared import of_arguments
from narrower.data.request import DataRequest
from narrower.data.samples import (
    as_array,
    check_data_set,
    check_targets,
    check_taught,
    checked_inputs,
    checked_pair,
)
from narrower.data.sources import Table
from narrower.data.splitting import standardised
from narrower.data.torch_sets import inputs_and_targets, is_torch_set, target_among
from narrower.errors import DataError
from narrower.tasks.catalogue import task_named, task_of
from narrower.tasks.task import Task

PART_NAMES = ("train", "validation", "test")
PAIR = 2  # inputs and targets
ACCEPTED = (
    "expected (inputs, classes), which are split for you, three such pairs (a tuple, or a dict with the keys "
    f"{', '.join(PART_NAMES)}), a Dataset of PyTorch's or three, or a DataSet"
)


def given_data_set(where: str, name: str, made: Any, request: DataRequest) -> DataSet | Table:
    """What was given: a table that is still to be split, or a data set.

    A ``DataSet`` is taken as it is; three pairs are standardised by the first unless the request says no.
    Its task says what targets mean; where it makes them of the inputs, those that are given may be anything.

    Raises:
        DataError: it is no data for that task.
    """
    reading = _Reading(where, request)
    if isinstance(made, DataSet):
        return _checked_data_set(where, made)
    if isinstance(made, Mapping) and set(made) == set(PART_NAMES):
        made = tuple(made[part] for part in PART_NAMES)
    if isinstance(made, Mapping) and not reading.can_be_pair(made):
        raise DataError(f"{where} returned a dict with the keys {list(made)}; {ACCEPTED}")
    if isinstance(made, tuple | list) and len(made) == len(PART_NAMES):
        return reading.from_three(name, made)
    if _is_two_parts(made):
        raise DataError(
            f"{where} returned two pairs, as of (train, test), where three, or one, are taken; {ACCEPTED}"
        )
    inputs, targets = reading.pair(where, made)
    names = reading.names(where, targets, teaches=True)
    first, *more = inputs.arrays
    features = () if more else _feature_names(first)
    task = reading.task(targets)
    return Table(first, targets, names, features, task, tuple(more), inputs.names, inputs.notes)


def _is_two_parts(made: object) -> bool:
    if not isinstance(made, tuple | list) or len(made) != PAIR:
        return False
    return all(isinstance(part, Part) or is_torch_set(part) or _is_pair_of_arrays(part) for part in made)


def _is_pair_of_arrays(part: object) -> bool:
    return (
        isinstance(part, tuple | list)
        and len(part) == PAIR
        and all(isinstance(value, Sequence) or np.ndim(value) > 0 for value in part)
    )


@dataclass(frozen=True, slots=True)
class _Reading:
    """How what was given is read: for a task that is named, or as the targets say."""

    where: str
    request: DataRequest

    @property
    def is_without_target(self) -> bool:
        return self.request.task in WITHOUT_TARGET

    @property
    def named_task(self) -> Task | None:
        """The task of targets that are given, where it is named."""
        asked = self.request.task
        return None if asked is None or has_derived_targets(asked) else task_named(asked)

    def can_be_pair(self, made: Mapping[Any, Any]) -> bool:
        """Whether a dictionary holds inputs, and targets where the task has some."""
        return bool(made) and (self.is_without_target or target_among(made, self.request.target) is not None)

    def task(self, targets: NDArray[Any]) -> Task:
        """What these targets mean."""
        return self.named_task or task_of(are_real=np.issubdtype(targets.dtype, np.floating))

    def names(self, where: str, targets: NDArray[Any], *, teaches: bool = False) -> tuple[str, ...]:
        """Checks targets; the names of what outputs stand for."""
        if self.is_without_target:
            return ("none",)
        return check_targets(where, targets, self.task(targets), teaches=teaches)

    def from_three(self, name: str, pairs: Sequence[Any]) -> DataSet:
        """Three pairs, standardised by the first."""
        where = self.where
        checked = [
            self.pair(f"{where}, part {part!r}", pair) for part, pair in zip(PART_NAMES, pairs, strict=True)
        ]
        kinds = [[(*a.shape[1:], str(a.dtype)) for a in inputs.arrays] for inputs, _ in checked]
        if any(kind != kinds[0] for kind in kinds):
            raise DataError(f"{where}: the samples of the three parts differ in shape or type: {kinds}")
        task = self.task(checked[0][1])
        self.names(f"{where}, part 'train'", checked[0][1], teaches=True)
        of_parts = zip(*(inputs.arrays for inputs, _ in checked), strict=True)
        held = [standardised(each, self.request.standardise) for each in of_parts]
        parts = []
        for number, (_, targets) in enumerate(checked):
            first, *more = (torch.from_numpy(each[number]) for each, _ in held)
            parts.append(Part(first, torch.from_numpy(targets), tuple(more), task))
        names = self.names(where, np.concatenate([targets for _, targets in checked]))
        given = checked[0][0]
        features = _feature_names(given.arrays[0]) if len(given.arrays) == 1 else ()
        return DataSet(
            name,
            parts[0],
            parts[1],
            parts[2],
            names,
            features,
            notes=tuple(dict.fromkeys(note for inputs, _ in checked for note in inputs.notes)),
            argument_names=given.names,
            prepared=of_arguments([scaling for _, scaling in held], features, given.names),
        )

    def pair(self, where: str, pair: Any) -> tuple[GivenInputs, NDArray[Any]]:
        """Inputs and targets as they are held; of a task without targets the inputs alone may be given."""
        inputs, targets = self._apart(where, pair)
        found = given_inputs(where, inputs, None if self.request.pad is None else int(self.request.pad))
        first, *more = found.arrays
        if self.is_without_target:
            targets = np.zeros(len(first), dtype=np.int64)
        numbers, said = held_targets(as_array(where, given_targets(where, targets)), self.named_task)
        held, wanted = checked_pair(where, first, numbers, self.named_task)
        arrays = (held, *(checked_inputs(where, other) for other in more))
        return GivenInputs(arrays, found.names, (*found.notes, *said)), wanted

    def _apart(self, where: str, pair: Any) -> tuple[Any, Any]:
        if isinstance(pair, Part):
            if pair.more:
                raise DataError(f"{where}: a Part of several arguments is taken within a DataSet only")
            return pair.inputs, pair.targets
        if is_torch_set(pair):
            return inputs_and_targets(where, pair, self.request.target, has_target=not self.is_without_target)
        if isinstance(pair, Mapping):
            target = target_among(pair, self.request.target)
            return {key: value for key, value in pair.items() if key != target}, pair.get(target)
        is_pair = isinstance(pair, tuple | list) and len(pair) == PAIR
        if self.is_without_target:
            return (pair[0] if is_pair else pair), None
        if not is_pair:
            length = f" of {len(pair)}" if isinstance(pair, tuple | list) else ""
            raise DataError(f"{where} returned {type(pair).__name__}{length}; {ACCEPTED}")
        return pair[0], pair[1]


def _checked_data_set(where: str, data: DataSet) -> DataSet:
    check_data_set(where, data)
    check_taught(f"{where}, part 'train'", data.train.targets.numpy(), data.task, data.output_names)
    for name, part in data.parts.items():
        for values in part.arguments:
            if values.is_floating_point() and not torch.isfinite(values).all():
                raise DataError(f"{where}, part {name!r}: the inputs hold NaN or infinity")
    return data


def _feature_names(inputs: NDArray[Any]) -> tuple[str, ...]:
    is_table = inputs.ndim == 2  # noqa: PLR2004 - [N, F]
    return tuple(f"feature_{index}" for index in range(inputs.shape[1])) if is_table else ()
