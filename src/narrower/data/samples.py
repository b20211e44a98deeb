"""Which arrays are samples with classes, and what is said of all others."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from narrower.data.parts import DataSet, Part
from narrower.errors import DataError

MOST_CLASSES = 100_000
EXPECTED_CLASSES = "expected one whole number for each sample, numbered from 0"


def checked_pair(where: str, inputs: object, targets: object) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Inputs [N, ...] as float32, or int64 where they are whole numbers, and classes [N].

    Raises:
        DataError: they are no samples with classes.
    """
    samples, classes = _as_array(where, inputs), _as_array(where, targets)
    check_shapes(where, samples.shape, classes.shape)
    check_classes(where, classes)
    return _numbers(where, samples), classes.astype(np.int64)


def check_shapes(where: str, inputs: tuple[int, ...], targets: tuple[int, ...]) -> None:
    """Check for inputs [N, ...] and classes [N] of the same N, not zero.

    Raises:
        DataError: with what was found.
    """
    if len(inputs) < 2:  # noqa: PLR2004 - [N, ...]
        raise DataError(f"{where}: the inputs have shape {inputs}; expected [N, ...], a sample in each row")
    if 0 in inputs:
        raise DataError(f"{where}: there are no samples: the inputs have shape {inputs}")
    if len(targets) != 1:
        way_out = "classes.argmax(axis=1) turns one-hot rows into classes"
        if len(targets) == 2 and targets[1] == 1:  # noqa: PLR2004 - [N, 1]
            way_out = "classes.ravel() drops the second dimension"
        raise DataError(f"{where}: the classes have shape {targets}; {EXPECTED_CLASSES} ({way_out})")
    if inputs[0] != targets[0]:
        raise DataError(f"{where}: {inputs[0]:,} samples, but {targets[0]:,} classes")


def check_classes(where: str, targets: NDArray[Any]) -> None:
    """Check for whole numbers from 0 that are few enough to be numbers of classes.

    Raises:
        DataError: with what was found and how classes are numbered.
    """
    if np.issubdtype(targets.dtype, np.floating):
        raise DataError(
            f"{where}: the targets are {targets.dtype}: real numbers are the targets of a regression, and "
            "only classification is searched here; if they are classes, targets.astype('int64') says so"
        )
    if not np.issubdtype(targets.dtype, np.integer):
        raise DataError(
            f"{where}: the classes are {targets.dtype}, such as {targets[0]!s}; {EXPECTED_CLASSES} "
            "(numpy.unique(classes, return_inverse=True)[1] numbers them)"
        )
    smallest, largest = int(targets.min()), int(targets.max())
    if smallest < 0:
        raise DataError(f"{where}: found class {smallest}; {EXPECTED_CLASSES}")
    if largest >= MOST_CLASSES:
        raise DataError(
            f"{where}: found class {largest:,} among {len(np.unique(targets)):,} different ones; "
            f"{EXPECTED_CLASSES}, at most {MOST_CLASSES - 1:,}"
        )


def check_several(where: str, targets: NDArray[np.int64]) -> None:
    """Check that not all samples are of the same class.

    Raises:
        DataError: with that class.
    """
    if int(targets.min()) == int(targets.max()):
        raise DataError(
            f"{where}: all {len(targets):,} samples are of class {int(targets[0])}; a classification needs "
            "two classes or more"
        )


def check_data_set(where: str, data: DataSet) -> None:
    """Check shapes, and that targets are classes that have names; the inputs' values are not looked at.

    Raises:
        DataError: beginning with the part.
    """
    for name, part in data.parts.items():
        here = f"{where}, part {name!r}"
        if not isinstance(part, Part) or not all(
            isinstance(t, Tensor) for t in (*part.arguments, part.targets)
        ):
            raise DataError(f"{here}: expected a Part of tensors, found {type(part).__name__}")
        for argument in part.arguments:
            check_shapes(here, tuple(argument.shape), tuple(part.targets.shape))
        check_classes(here, part.targets.detach().cpu().numpy())
        if part.targets.dtype != torch.int64:
            raise DataError(f"{here}: the classes are {part.targets.dtype}; expected int64: targets.long()")
        largest, named = int(part.targets.max()), len(data.class_names)
        if largest >= named:
            raise DataError(f"{here}: class {largest} has no name; class_names has {named}")
        if _kinds(part) != _kinds(data.train):
            raise DataError(f"{here}: the samples differ in shape or type from those for training")


def _kinds(part: Part) -> list[tuple[tuple[int, ...], torch.dtype]]:
    return [(tuple(argument.shape[1:]), argument.dtype) for argument in part.arguments]


def _numbers(where: str, inputs: NDArray[Any]) -> NDArray[Any]:
    if np.issubdtype(inputs.dtype, np.integer):
        return inputs.astype(np.int64)
    if not np.issubdtype(inputs.dtype, np.floating):
        raise DataError(f"{where}: the inputs must be numbers, found {inputs.dtype}")
    with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite, and is refused
        values = inputs.astype(np.float32)
    if not np.isfinite(values).all():
        bad = int(np.argmin(np.isfinite(values).reshape(len(values), -1).all(axis=1)))
        raise DataError(f"{where}: the inputs hold NaN or infinity, first in sample {bad:,}")
    return values


def _as_array(where: str, value: object) -> NDArray[Any]:
    try:
        return value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
    except (TypeError, ValueError) as error:
        raise DataError(f"{where}: no array can be made of {type(value).__name__}: {error}") from error
