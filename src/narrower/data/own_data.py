"""Data sets of the user's own: what their function may return, and how it is checked."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from narrower.data.parts import DataSet, Part
from narrower.data.samples import check_data_set, check_targets, checked_pair
from narrower.data.sources import Table
from narrower.data.splitting import standardised
from narrower.errors import DataError
from narrower.own_code.failures import own_code
from narrower.own_code.imported import import_object
from narrower.tasks.catalogue import task_of
from narrower.tasks.task import Task

PART_NAMES = ("train", "validation", "test")
PAIR = 2  # inputs and targets
ACCEPTED = (
    "expected (inputs, classes), which are split for you, three such pairs (a tuple, or a dict with the keys "
    f"{', '.join(PART_NAMES)}), or a DataSet"
)


def own_data_set(reference: str) -> DataSet | Table:
    """Call ``package.module:function``: a table that is still to be split, or a data set.

    A ``DataSet`` is taken as it is; three pairs are standardised by the first.

    Raises:
        DataError: the function cannot be imported, raises, or returns no classification data.
    """
    function = import_object(reference, DataError)
    where = f"data set {reference!r}"
    if not callable(function):
        raise DataError(f"{where} is not callable, but {type(function).__name__}")
    with own_code(f"{where}: calling it", DataError):
        made = function()
    if isinstance(made, DataSet):
        return _checked_data_set(where, made)
    if isinstance(made, Mapping):
        if set(made) != set(PART_NAMES):
            raise DataError(f"{where} returned a dict with the keys {list(made)}; {ACCEPTED}")
        made = tuple(made[name] for name in PART_NAMES)
    if isinstance(made, tuple | list) and len(made) == len(PART_NAMES):
        return _from_three(reference, where, made)
    if _is_two_parts(made):
        raise DataError(
            f"{where} returned two pairs, as of (train, test), where three, or one, are taken; {ACCEPTED}"
        )
    inputs, targets = _checked(where, made)
    names = check_targets(where, targets, _task(targets), teaches=True)
    return Table(inputs, targets, names, _feature_names(inputs))


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


def _from_three(reference: str, where: str, pairs: Sequence[Any]) -> DataSet:
    checked = [
        _checked(f"{where}, part {name!r}", pair) for name, pair in zip(PART_NAMES, pairs, strict=True)
    ]
    kinds = [(*inputs.shape[1:], str(inputs.dtype)) for inputs, _ in checked]
    if len(set(kinds)) > 1:
        raise DataError(f"{where}: the samples of the three parts differ in shape or type: {kinds}")
    task = _task(checked[0][1])
    check_targets(f"{where}, part 'train'", checked[0][1], task, teaches=True)
    inputs = standardised([inputs for inputs, _ in checked])
    parts = [
        Part(torch.from_numpy(values), torch.from_numpy(targets))
        for values, (_, targets) in zip(inputs, checked, strict=True)
    ]
    names = check_targets(where, np.concatenate([targets for _, targets in checked]), task)
    return DataSet(reference, parts[0], parts[1], parts[2], names, _feature_names(checked[0][0]))


def _checked(where: str, pair: object) -> tuple[NDArray[Any], NDArray[Any]]:
    if isinstance(pair, Part):
        if pair.more:
            raise DataError(f"{where}: a Part of several arguments is taken within a DataSet only")
        pair = (pair.inputs, pair.targets)
    if not isinstance(pair, tuple | list) or len(pair) != PAIR:
        found = (
            f"{type(pair).__name__} of {len(pair)}" if isinstance(pair, tuple | list) else type(pair).__name__
        )
        raise DataError(f"{where} returned {found}; {ACCEPTED}")
    inputs, targets = pair
    return checked_pair(where, inputs, targets)


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


def _task(targets: NDArray[Any]) -> Task:
    return task_of(are_real=np.issubdtype(targets.dtype, np.floating))
