"""Data sets of the user's own: what their function may return, and how it is checked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from narrower.data.derived_targets import WITHOUT_TARGET, has_derived_targets
from narrower.data.parts import DataSet, Part
from narrower.data.samples import check_data_set, check_targets, checked_pair
from narrower.data.sources import Table
from narrower.data.splitting import standardised
from narrower.errors import DataError
from narrower.own_code.failures import own_code
from narrower.own_code.imported import import_object
from narrower.tasks.catalogue import task_named, task_of
from narrower.tasks.task import Task

PART_NAMES = ("train", "validation", "test")
PAIR = 2  # inputs and targets
ACCEPTED = (
    "expected (inputs, classes), which are split for you, three such pairs (a tuple, or a dict with the keys "
    f"{', '.join(PART_NAMES)}), or a DataSet"
)


def own_data_set(reference: str, task: str | None = None) -> DataSet | Table:
    """Call ``package.module:function``: a table that is still to be split, or a data set.

    A ``DataSet`` is taken as it is; three pairs are standardised by the first. ``task`` says what targets
    mean; where it makes them of the inputs, those that are returned may be anything.

    Raises:
        DataError: the function cannot be imported, raises, or returns no classification data.
    """
    function = import_object(reference, DataError)
    where = f"data set {reference!r}"
    if not callable(function):
        raise DataError(f"{where} is not callable, but {type(function).__name__}")
    with own_code(f"{where}: calling it", DataError):
        made = function()
    reading = _Reading(where, task)
    if isinstance(made, DataSet):
        return _checked_data_set(where, made)
    if isinstance(made, Mapping):
        if set(made) != set(PART_NAMES):
            raise DataError(f"{where} returned a dict with the keys {list(made)}; {ACCEPTED}")
        made = tuple(made[name] for name in PART_NAMES)
    if isinstance(made, tuple | list) and len(made) == len(PART_NAMES):
        return reading.from_three(reference, made)
    if _is_two_parts(made):
        raise DataError(
            f"{where} returned two pairs, as of (train, test), where three, or one, are taken; {ACCEPTED}"
        )
    inputs, targets = reading.pair(where, made)
    names = reading.names(where, targets, teaches=True)
    return Table(inputs, targets, names, _feature_names(inputs), reading.task(targets))


def _is_two_parts(made: object) -> bool:
    if not isinstance(made, tuple | list) or len(made) != PAIR:
        return False
    return all(isinstance(part, Part) or _is_pair_of_arrays(part) for part in made)


def _is_pair_of_arrays(part: object) -> bool:
    return (
        isinstance(part, tuple | list)
        and len(part) == PAIR
        and all(isinstance(value, Sequence) or np.ndim(value) > 0 for value in part)
    )


@dataclass(frozen=True, slots=True)
class _Reading:
    """How what a function returned is read: for a task that is named, or as the targets say."""

    where: str
    asked: str | None

    @property
    def is_without_target(self) -> bool:
        return self.asked in WITHOUT_TARGET

    def task(self, targets: NDArray[Any]) -> Task:
        """What these targets mean."""
        if self.asked is not None and not has_derived_targets(self.asked):
            return task_named(self.asked)
        return task_of(are_real=np.issubdtype(targets.dtype, np.floating))

    def names(self, where: str, targets: NDArray[Any], *, teaches: bool = False) -> tuple[str, ...]:
        """Checks targets; the names of what outputs stand for."""
        if self.is_without_target:
            return ("none",)
        return check_targets(where, targets, self.task(targets), teaches=teaches)

    def from_three(self, reference: str, pairs: Sequence[Any]) -> DataSet:
        """Three pairs, standardised by the first."""
        where = self.where
        checked = [
            self.pair(f"{where}, part {name!r}", pair) for name, pair in zip(PART_NAMES, pairs, strict=True)
        ]
        kinds = [(*inputs.shape[1:], str(inputs.dtype)) for inputs, _ in checked]
        if len(set(kinds)) > 1:
            raise DataError(f"{where}: the samples of the three parts differ in shape or type: {kinds}")
        task = self.task(checked[0][1])
        self.names(f"{where}, part 'train'", checked[0][1], teaches=True)
        inputs = standardised([inputs for inputs, _ in checked])
        parts = [
            Part(torch.from_numpy(values), torch.from_numpy(targets), task=task)
            for values, (_, targets) in zip(inputs, checked, strict=True)
        ]
        names = self.names(where, np.concatenate([targets for _, targets in checked]))
        return DataSet(reference, parts[0], parts[1], parts[2], names, _feature_names(checked[0][0]))

    def pair(self, where: str, pair: object) -> tuple[NDArray[Any], NDArray[Any]]:
        """Inputs and targets as they are held; of a task without targets the inputs alone may be given."""
        if isinstance(pair, Part):
            if pair.more:
                raise DataError(f"{where}: a Part of several arguments is taken within a DataSet only")
            pair = (pair.inputs, pair.targets)
        if self.is_without_target:
            inputs: Any = pair[0] if isinstance(pair, tuple | list) and len(pair) == PAIR else pair
            return checked_pair(where, inputs, np.zeros(len(inputs), dtype=np.int64))
        if not isinstance(pair, tuple | list) or len(pair) != PAIR:
            length = f" of {len(pair)}" if isinstance(pair, tuple | list) else ""
            raise DataError(f"{where} returned {type(pair).__name__}{length}; {ACCEPTED}")
        inputs, targets = pair
        named = self.asked is not None and not has_derived_targets(self.asked)
        return checked_pair(where, inputs, targets, task_named(str(self.asked)) if named else None)


def _checked_data_set(where: str, data: DataSet) -> DataSet:
    check_data_set(where, data)
    check_targets(f"{where}, part 'train'", data.train.targets.numpy(), data.task, teaches=True)
    for name, part in data.parts.items():
        for values in part.arguments:
            if values.is_floating_point() and not torch.isfinite(values).all():
                raise DataError(f"{where}, part {name!r}: the inputs hold NaN or infinity")
    return data


def _feature_names(inputs: NDArray[Any]) -> tuple[str, ...]:
    is_table = inputs.ndim == 2  # noqa: PLR2004 - [N, F]
    return tuple(f"feature_{index}" for index in range(inputs.shape[1])) if is_table else ()
