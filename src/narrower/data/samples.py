"""Check arrays of samples and targets: their shapes, types and numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from narrower.data.parts import DataSet, Part
from narrower.errors import DataError, starting
from narrower.tasks.catalogue import task_of
from narrower.tasks.task import Task


def checked_pair(
    where: str, inputs: object, targets: object, task: Task | None = None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Inputs [N, ...] and targets [N, ...] as they are held: float32, or int64 where they are whole numbers.

    Raises:
        DataError: they are no samples with targets.
    """
    samples, wanted = as_array(where, inputs), as_array(where, targets)
    task = task or task_of(are_real=np.issubdtype(wanted.dtype, np.floating))
    _check_shape(where, samples.shape)
    if wanted.shape[:1] == (0,):
        _check_count(where, samples.shape, wanted.shape, task)
    check_targets(where, wanted, task)
    _check_count(where, samples.shape, wanted.shape, task)
    return _numbers(where, "inputs", samples), _numbers(where, "targets", wanted)


def checked_inputs(where: str, inputs: NDArray[Any]) -> NDArray[Any]:
    """Inputs [N, ...] as they are held: float32, or int64 where they are whole numbers.

    Raises:
        DataError: they are no samples.
    """
    _check_shape(where, inputs.shape)
    return _numbers(where, "inputs", inputs)


def check_targets(where: str, targets: NDArray[Any], task: Task, *, teaches: bool = False) -> tuple[str, ...]:
    """Check targets alone; names for what outputs stand for that suit them.

    Raises:
        DataError: beginning with ``where``.
    """
    with starting(where):
        return task.check(targets, teaches=teaches)


def check_taught(where: str, targets: NDArray[Any], task: Task, names: Sequence[str]) -> None:
    """Check targets of the training part, whose outputs have these names.

    Raises:
        DataError: beginning with ``where``; nothing can be learned from them, for one.
    """
    with starting(where):
        task.check(targets, names, teaches=True)


def check_data_set(where: str, data: DataSet) -> None:
    """Check shapes, and that targets are those of their task; the inputs' values are not looked at.

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
            _check_shape(here, tuple(argument.shape))
        if not part.targets.numel():
            raise DataError(f"{here}: there are no {part.task.words.outputs}")
        with starting(here):
            part.task.check(part.targets.detach().cpu().numpy(), data.output_names)
        is_real = part.targets.is_floating_point()
        if part.targets.dtype != (torch.float32 if is_real else torch.int64):
            expected = "float32: targets.float()" if is_real else "int64: targets.long()"
            raise DataError(
                f"{here}: the {part.task.words.outputs} are {part.targets.dtype}; expected {expected}"
            )
        for argument in part.arguments:
            _check_count(here, tuple(argument.shape), tuple(part.targets.shape), part.task)
        if _kinds(part) != _kinds(data.train):
            raise DataError(f"{here}: the samples differ in shape or type from those for training")
        if part.task != data.task:
            found = part.task.words.name
            raise DataError(f"{here}: its task is {found}, that of the training part {data.task.words.name}")


def _check_shape(where: str, inputs: tuple[int, ...]) -> None:
    if len(inputs) < 2:  # noqa: PLR2004 - [N, ...]
        raise DataError(f"{where}: the inputs have shape {inputs}; expected [N, ...], a sample in each row")
    if 0 in inputs:
        raise DataError(f"{where}: there are no samples: the inputs have shape {inputs}")


def _check_count(where: str, inputs: tuple[int, ...], targets: tuple[int, ...], task: Task) -> None:
    if inputs[0] != targets[0]:
        raise DataError(f"{where}: {inputs[0]:,} samples, but {targets[0]:,} {task.words.outputs}")


def _kinds(part: Part) -> list[tuple[tuple[int, ...], torch.dtype]]:
    return [(tuple(argument.shape[1:]), argument.dtype) for argument in part.arguments]


def _numbers(where: str, what: str, found: NDArray[Any]) -> NDArray[Any]:
    if np.issubdtype(found.dtype, np.integer):
        return found.astype(np.int64)
    if not np.issubdtype(found.dtype, np.floating):
        raise DataError(f"{where}: the {what} must be numbers, found {found.dtype}")
    with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite, and is refused
        values = found.astype(np.float32)
    if not np.isfinite(values).all():
        bad = int(np.argmin(np.isfinite(values).reshape(len(values), -1).all(axis=1)))
        raise DataError(f"{where}: the {what} hold NaN or infinity, first in sample {bad:,}")
    return values


def as_array(where: str, value: object) -> NDArray[Any]:
    """What can be made an array of.

    Raises:
        DataError: it cannot.
    """
    try:
        return value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
    except (TypeError, ValueError) as error:
        raise DataError(f"{where}: no array can be made of {type(value).__name__}: {error}") from error
