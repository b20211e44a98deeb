"""What the targets of a table are, classes, numbers or labels, and so its task."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrower.data.column_kinds import Column
from narrower.data.derived_targets import WITHOUT_TARGET
from narrower.data.request import DataRequest
from narrower.errors import DataError
from narrower.tasks.catalogue import TASKS, is_own_task, output_names, task_named
from narrower.tasks.task import Task

FEW = 20  # different whole numbers at most that are taken for classes where nobody says what they are
NAMES = ("target", "label", "class", "y")  # of a column that is the target where nobody says which


@dataclass(frozen=True, slots=True)
class Targets:
    """Targets [N] or [N, K], what outputs stand for, the task, and how it was chosen where nobody said."""

    values: NDArray[Any]
    names: tuple[str, ...]
    task: Task
    notes: tuple[str, ...] = ()


def usual_target(where: str, names: Sequence[str]) -> str:
    """The column that is called as targets are.

    Raises:
        DataError: there is none, or several.
    """
    found = [name for name in names if name.lower() in NAMES]
    if len(found) == 1:
        return found[0]
    said = (
        "none of its columns is called target, label, class or y" if not found else f"{found} are all there"
    )
    raise DataError(f"{where}: which column is the target? {said}; say target = one of: {_listed(names)}")


def checked_targets(request: DataRequest, names: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    """The columns of targets, which are there as those of features are, and what is to be said of them.

    Raises:
        UnknownNameError: a column that is asked for is not there.
    """
    wanted = _wanted_targets(request, names)
    unsaid = [] if request.target or not wanted else [f"no target is named: {wanted[0]!r} is taken"]
    for key, found in (("target", wanted), ("features", request.features)):
        check_columns(request.source, key, found, names)
    return wanted, unsaid


def _wanted_targets(request: DataRequest, names: Sequence[str]) -> tuple[str, ...]:
    """None where the task makes them of the inputs."""
    if request.target or request.task in WITHOUT_TARGET:
        return request.target if request.task not in WITHOUT_TARGET else ()
    return (usual_target(request.source, names),)


def task_of_targets(request: DataRequest) -> str | None:
    """What the targets in the file mean, of which those of the task may be made."""
    return "classification" if request.task == "anomalies" else request.task


def no_targets(count: int) -> Targets:
    """What stands in until targets are made of the inputs."""
    return Targets(np.zeros(count, dtype=np.int64), ("none",), TASKS["classification"])


def check_columns(where: str, key: str, wanted: Sequence[str], names: Sequence[str]) -> None:
    """Check that columns that are asked for are there.

    Raises:
        UnknownNameError: with the nearest name.
    """
    from narrower.errors import unknown_name

    for name in wanted:
        if name not in names:
            raise unknown_name(f"column of {where} (key {key!r})", name, names)


def targets_of(where: str, columns: Sequence[Column], task: str | None) -> Targets:
    """Targets as the task has them; without one, what the columns hold says it.

    Raises:
        DataError: the columns do not suit the task, or values are missing.
    """
    for column in columns:
        if column.missing.any():
            row = int(np.flatnonzero(column.missing)[0])
            raise DataError(
                f"{where}: target {column.name!r} is missing in {int(column.missing.sum()):,} rows, first in "
                "row "
                f"{row + 1:,}; missing = 'drop' leaves such rows out"
            )
        if column.kind == "time":
            raise DataError(f"{where}: target {column.name!r} holds times; expected classes or numbers")
    if task is not None and is_own_task(task):
        found, own = targets_of(where, columns, None), task_named(task)
        return Targets(found.values, output_names(own) or found.names, own)
    chosen, reason = (task, None) if task is not None else _task_from(columns)
    notes = () if reason is None else (f"task = {chosen!r}: {reason}",)
    if chosen == "regression":
        return Targets(_numbers(where, columns), tuple(c.name for c in columns), TASKS["regression"], notes)
    if chosen == "multi-label":
        return Targets(_labels(where, columns), tuple(c.name for c in columns), TASKS["multi-label"], notes)
    if len(columns) > 1:
        raise DataError(f"{where}: a {chosen} has one target, found {[c.name for c in columns]}")
    values, names = _classes(columns[0])
    return Targets(values, names, TASKS[str(chosen)], notes)


def _task_from(columns: Sequence[Column]) -> tuple[str, str]:
    if len(columns) > 1:
        if all(_is_yes_or_no(column) for column in columns):
            return "multi-label", f"the {len(columns)} targets hold 0 and 1 alone"
        return "regression", f"{len(columns)} targets that are numbers"
    column = columns[0]
    if column.kind == "category":
        return "classification", f"target {column.name!r} holds text"
    different = np.unique(column.values)
    if column.kind == "number":
        return "regression", f"target {column.name!r} holds real numbers"
    if len(different) <= FEW:
        return "classification", (
            f"target {column.name!r} holds {len(different)} different whole numbers (task = 'regression' "
            "takes "
            "them as numbers)"
        )
    return "regression", (
        f"target {column.name!r} holds {len(different):,} different whole numbers (task = 'classification' "
        "takes "
        "them as classes)"
    )


def _is_yes_or_no(column: Column) -> bool:
    return column.kind == "whole" and set(np.unique(column.values)) <= {0.0, 1.0}


def _classes(column: Column) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    if column.kind == "category":
        names, numbers = np.unique(column.values.astype(str), return_inverse=True)
        return numbers.astype(np.int64), tuple(names.tolist())
    values, numbers = np.unique(column.values, return_inverse=True)
    return numbers.astype(np.int64), tuple(f"{value:.15g}" for value in values)


def _numbers(where: str, columns: Sequence[Column]) -> NDArray[np.float32]:
    for column in columns:
        if column.kind == "category":
            raise DataError(
                f"{where}: target {column.name!r} holds text, such as {column.values[0]!r}; a regression has "
                "numbers"
            )
        if not np.isfinite(column.values.astype(np.float64)).all():
            raise DataError(f"{where}: target {column.name!r} is infinite in some row")
    stacked = np.stack([column.values.astype(np.float64) for column in columns], axis=1)
    return (stacked[:, 0] if len(columns) == 1 else stacked).astype(np.float32)


def _labels(where: str, columns: Sequence[Column]) -> NDArray[np.float32]:
    for column in columns:
        if not _is_yes_or_no(column):
            raise DataError(f"{where}: target {column.name!r} holds more than 0 and 1; labels are yes or no")
    return np.stack([column.values for column in columns], axis=1).astype(np.float32)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:30]) + (", ..." if len(names) > 30 else "")  # noqa: PLR2004 - a line or two
