"""The user's own data: what a function may return, and what is checked."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from narrower.errors import DataError
from narrower.tasks.imported import import_object
from narrower.tasks.parts import DataSet, Part
from narrower.tasks.sources import Table
from narrower.tasks.splitting import moments, standardise

PART_NAMES = ("train", "validation", "test")
ACCEPTED = (
    "expected (inputs, classes), three such pairs (a tuple, or a dict with the keys "
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
    try:
        made = function()
    except Exception as error:
        raise DataError(f"{where}: calling it failed: {type(error).__name__}: {error}") from error
    if isinstance(made, DataSet):
        return _checked_data_set(where, made)
    if isinstance(made, Mapping):
        if set(made) != set(PART_NAMES):
            raise DataError(f"{where} returned a dict with the keys {list(made)}; {ACCEPTED}")
        made = tuple(made[name] for name in PART_NAMES)
    if isinstance(made, tuple | list) and len(made) == len(PART_NAMES):
        return _from_three(reference, where, made)
    inputs, targets = _checked_pair(where, made)
    names = tuple(str(index) for index in range(int(targets.max()) + 1))
    return Table(inputs, targets, names, _feature_names(inputs))


def _from_three(reference: str, where: str, pairs: tuple[Any, ...] | list[Any]) -> DataSet:
    checked = [
        _checked_pair(f"{where}, part {name!r}", pair) for name, pair in zip(PART_NAMES, pairs, strict=True)
    ]
    shapes = [inputs.shape[1:] for inputs, _ in checked]
    if len(set(shapes)) > 1:
        raise DataError(f"{where}: the samples of the three parts differ in shape: {shapes}")
    mean, deviation = moments(checked[0][0])
    parts = [
        Part(torch.from_numpy(standardise(inputs, mean, deviation)), torch.from_numpy(targets))
        for inputs, targets in checked
    ]
    classes = 1 + max(int(targets.max()) for _, targets in checked)
    names = tuple(str(index) for index in range(classes))
    return DataSet(reference, parts[0], parts[1], parts[2], names, _feature_names(checked[0][0]))


def _checked_pair(where: str, pair: object) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    if isinstance(pair, Part):
        pair = (pair.inputs, pair.targets)
    if not isinstance(pair, tuple | list) or len(pair) != 2:  # noqa: PLR2004 - inputs and classes
        found = (
            f"{type(pair).__name__} of {len(pair)}" if isinstance(pair, tuple | list) else type(pair).__name__
        )
        raise DataError(f"{where} returned {found}; {ACCEPTED}")
    inputs, targets = (_as_array(where, value) for value in pair)
    _check_shapes(where, tuple(inputs.shape), tuple(targets.shape))
    if not np.issubdtype(targets.dtype, np.integer) or targets.min() < 0:
        raise DataError(f"{where}: classes must be whole numbers from 0, found {_described(targets)}")
    if not (np.issubdtype(inputs.dtype, np.floating) or np.issubdtype(inputs.dtype, np.integer)):
        raise DataError(f"{where}: inputs must be numbers, found {inputs.dtype}")
    if not np.isfinite(inputs).all():
        raise DataError(f"{where}: inputs hold NaN or infinity")
    return inputs.astype(np.float32), targets.astype(np.int64)


def _checked_data_set(where: str, data: DataSet) -> DataSet:
    for name, part in data.parts.items():
        here = f"{where}, part {name!r}"
        if not isinstance(part, Part) or not all(isinstance(t, Tensor) for t in (part.inputs, part.targets)):
            raise DataError(f"{here}: expected a Part of two tensors, found {type(part).__name__}")
        _check_shapes(here, tuple(part.inputs.shape), tuple(part.targets.shape))
        if part.targets.dtype != torch.int64 or int(part.targets.min()) < 0:
            raise DataError(f"{here}: targets must be int64 from 0, found {part.targets.dtype}")
        largest, named = int(part.targets.max()), len(data.class_names)
        if largest >= named:
            raise DataError(f"{here}: class {largest} has no name; class_names has {named}")
        if part.inputs.is_floating_point() and not torch.isfinite(part.inputs).all():
            raise DataError(f"{here}: inputs hold NaN or infinity")
        if part.inputs.shape[1:] != data.train.inputs.shape[1:]:
            raise DataError(f"{here}: the samples differ in shape from those for training")
    return data


def _check_shapes(where: str, inputs: tuple[int, ...], targets: tuple[int, ...]) -> None:
    if len(inputs) < 2 or len(targets) != 1 or inputs[0] != targets[0]:  # noqa: PLR2004 - [N, ...] and [N]
        raise DataError(f"{where}: expected inputs [N, ...] and classes [N], found {inputs} and {targets}")
    if 0 in inputs:
        raise DataError(f"{where}: no samples, found inputs {inputs}")


def _as_array(where: str, value: object) -> NDArray[Any]:
    try:
        return value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
    except (TypeError, ValueError) as error:
        raise DataError(f"{where}: no array can be made of {type(value).__name__}: {error}") from error


def _described(targets: NDArray[Any]) -> str:
    smallest = f" down to {targets.min()}" if np.issubdtype(targets.dtype, np.number) else ""
    return f"{targets.dtype}{smallest}"


def _feature_names(inputs: NDArray[np.float32]) -> tuple[str, ...]:
    is_table = inputs.ndim == 2  # noqa: PLR2004 - [N, F]
    return tuple(f"feature_{index}" for index in range(inputs.shape[1])) if is_table else ()
