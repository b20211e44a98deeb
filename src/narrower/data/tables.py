"""A table from a file: which columns are features and targets, and how its rows are parted."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from narrower.data.column_kinds import Column, column_of
from narrower.data.duplicates import repeated_note, without_repeated
from narrower.data.features import MOST_CATEGORIES, Features, features_of
from narrower.data.parting import Parted, parted
from narrower.data.parts import DataSet, Part
from narrower.data.prepared import Prepared, PreparedInput, Scaling
from narrower.data.raw_columns import NESTED, Columns
from narrower.data.request import DataRequest
from narrower.data.row_counts import refuse_row_counts
from narrower.data.samples import check_taught
from narrower.data.splitting import standardised
from narrower.data.target_columns import (
    Targets,
    check_columns,
    checked_targets,
    no_targets,
    targets_of,
    task_of_targets,
)
from narrower.errors import DataError
from narrower.tasks.catalogue import TASKS

LEAST_ROWS = 50  # that a column must number: fewer may be a feature that happens to have all values
NEARLY = 0.9  # of the rows have a number of their own, the others are there twice


def table_data_set(request: DataRequest, columns: Columns, seed: int) -> DataSet:
    """Parts of a table whose features are standardised by the training part.

    Raises:
        DataError: with what is wrong, and in which column or row.
        UnknownNameError: there is no such column.
    """
    where, names = request.source, list(columns)
    wanted, unsaid = checked_targets(request, names)
    for key in ("group", "time"):
        check_columns(where, key, tuple(filter(None, (getattr(request, key),))), names)
    asked = (*wanted, request.group, request.time)
    nested = [n for n in names if columns[n].dtype == NESTED]
    others = [n for n in names if n not in (*asked, *nested)]
    if both := set(wanted) & set(request.features):
        raise DataError(f"{where}: {min(both)!r} is both target and feature")
    read = {
        name: column_of(where, name, columns[name])
        for name in dict.fromkeys((*(request.features or others), *wanted, request.group, request.time))
        if name is not None
    }
    features, notes = (
        ([read[name] for name in request.features], [])
        if request.features
        else _useful([read[name] for name in others], nested)
    )
    if not features:
        raise DataError("; ".join([f"{where}: no column is left that could be a feature", *notes]))
    refuse_row_counts(where, [read[name] for name in wanted], task_of_targets(request))
    kept, dropped = _kept_rows(request, [*features, *(read[name] for name in wanted)])
    notes = [*unsaid, *notes, *dropped]
    features = [column.of(kept) for column in features]
    targets = (
        targets_of(where, [read[name].of(kept) for name in wanted], task_of_targets(request))
        if wanted
        else no_targets(int(kept.sum()))
    )
    rows = _rows(request, targets, {n: c.of(kept) for n, c in read.items()}, seed)
    made = features_of(where, features, rows[0], as_codes=request.categories == "codes")
    if request.duplicates == "drop":
        rows, said = without_repeated(made.values, rows)
        notes += said
    notes += [*made.notes, *_constant(made.values[rows[0]], made.names), *repeated_note(made.values, rows)]
    if wanted:
        check_taught(f"{where}, training part", targets.values[rows[0]], targets.task, targets.names)
    return _data_set(request, made, targets, rows, (*targets.notes, *notes))


def _data_set(
    request: DataRequest,
    made: Features,
    targets: Targets,
    rows: Parted,
    notes: tuple[str, ...],
) -> DataSet:
    inputs, scaling = standardised([made.values[part] for part in rows], request.standardise)
    wanted, task, outputs = prepared_targets(request, targets, rows)
    parts = [
        Part(torch.from_numpy(own), torch.from_numpy(wanted[part]), task=task)
        for own, part in zip(inputs, rows, strict=True)
    ]
    return DataSet(
        request.text,
        parts[0],
        parts[1],
        parts[2],
        targets.names,
        made.names,
        notes=notes,
        prepared=Prepared((PreparedInput("", scaling, made.features),), outputs),
    )


def _useful(columns: Sequence[Column], nested: Sequence[str]) -> tuple[list[Column], list[str]]:
    """Columns that can be features, and why the others are left out where nobody says which are."""
    kept, out = [], [f"{name} (lists or other nested values)" for name in nested]
    for column in columns:
        if column.kind == "time":
            out.append(f"{column.name} (times)")
        elif column.missing.all():
            out.append(f"{column.name} (no values)")
        elif column.kind == "category" and len(set(column.present.tolist())) > MOST_CATEGORIES:
            out.append(f"{column.name} ({len(set(column.present.tolist())):,} different texts)")
        elif column.kind == "whole" and _counts_rows(column):
            out.append(f"{column.name} (counts the rows)")
        elif column.kind == "whole" and _numbers_rows(column):
            out.append(f"{column.name} (numbers the rows, in another order)")
        else:
            kept.append(column)
    return kept, [f"columns that are no features unless features names them: {', '.join(out)}"] if out else []


def _counts_rows(column: Column) -> bool:
    values = column.values
    return len(values) > 2 and not column.missing.any() and bool((np.diff(values) == 1).all())  # noqa: PLR2004


def _numbers_rows(column: Column) -> bool:
    """Whether there is each number between the least and the largest, and hardly one of them twice."""
    values = np.unique(column.present)
    if len(values) < max(LEAST_ROWS, NEARLY * len(column.values)):
        return False
    return bool(values[-1] - values[0] + 1 == len(values))


def _kept_rows(request: DataRequest, columns: Sequence[Column]) -> tuple[NDArray[np.bool_], list[str]]:
    lacking = {c.name: int(c.missing.sum()) for c in columns if c.missing.any()}
    kept = np.ones(len(columns[0].missing), dtype=bool)
    if not lacking or request.missing in (None, "fill"):
        return kept, []
    said = ", ".join(f"{name} {count:,}" for name, count in lacking.items())
    if request.missing == "refuse":
        raise DataError(f"{request.source}: values are missing: {said}; missing = 'fill' or 'drop' goes on")
    for column in columns:
        kept &= ~column.missing
    return kept, [f"{int((~kept).sum()):,} rows with missing values were left out: {said}"]


def _rows(request: DataRequest, targets: Targets, read: dict[str, Column], seed: int) -> Parted:
    groups, times = group_numbers(request, read), time_numbers(request, read)
    is_class = targets.values.ndim == 1 and np.issubdtype(targets.values.dtype, np.integer)
    classes = targets.values if is_class else None
    try:
        return parted(len(targets.values), seed, request.split, classes=classes, groups=groups, times=times)
    except DataError as error:
        raise DataError(f"{request.source}: {error}") from None


def group_numbers(request: DataRequest, read: dict[str, Column]) -> NDArray[np.int64] | None:
    """The number of each row's group, where rows are grouped."""
    if request.group is None:
        return None
    column = read[request.group]
    if column.missing.any():
        raise DataError(
            f"{request.source}: group {column.name!r} is missing in {int(column.missing.sum()):,} rows"
        )
    return np.unique(column.values.astype(str), return_inverse=True)[1].astype(np.int64)


def time_numbers(request: DataRequest, read: dict[str, Column]) -> NDArray[np.float64] | None:
    """The time of each row, where it decides the parts."""
    if request.time is None:
        return None
    column = read[request.time]
    if column.kind == "category" or column.missing.any():
        raise DataError(f"{request.source}: time {column.name!r} must hold a number or a time in each row")
    return column.values.astype(np.float64)


def _constant(values: NDArray[Any], names: Sequence[str]) -> list[str]:
    constant = [name for name, same in zip(names, (values == values[:1]).all(axis=0), strict=True) if same]
    return (
        [f"features that are the same in all training samples: {', '.join(constant[:20])}"]
        if constant
        else []
    )


def prepared_targets(
    request: DataRequest, targets: Targets, rows: Parted
) -> tuple[NDArray[Any], Any, Scaling | None]:
    """Targets, their task, and what scaled them: a regression's training part, unless that is not wished.

    The metrics of the task undo that.
    """
    values = targets.values
    if targets.task.words.name != "regression" or request.standardise == "no":
        return values, targets.task, None
    train = values[rows[0]]
    mean, deviation = train.mean(axis=0, dtype=np.float64), train.std(axis=0, dtype=np.float64)
    deviation = np.where(deviation == 0, 1.0, deviation)
    task = replace(TASKS["regression"], scales=tuple(np.atleast_1d(deviation).tolist()))  # type: ignore[type-var]
    scaling = Scaling.of(np.asarray(mean), np.asarray(deviation))
    return ((values - mean) / deviation).astype(np.float32), task, scaling
