"""Arrays from a file: which of them go into a model, one after the other, and which holds the targets."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from narrower.data.column_kinds import column_of
from narrower.data.duplicates import repeated_note, without_repeated
from narrower.data.held_targets import held_targets
from narrower.data.parting import parted
from narrower.data.parts import DataSet, Part
from narrower.data.prepared import Prepared, PreparedInput
from narrower.data.raw_columns import Columns
from narrower.data.request import DataRequest
from narrower.data.row_counts import refuse_row_counts
from narrower.data.samples import check_targets, check_taught, checked_inputs
from narrower.data.splitting import standardised
from narrower.data.tables import group_numbers, prepared_targets, time_numbers
from narrower.data.target_columns import (
    Targets,
    check_columns,
    checked_targets,
    no_targets,
    targets_of,
    task_of_targets,
)
from narrower.errors import DataError
from narrower.tasks.catalogue import TASKS, task_named


def array_data_set(request: DataRequest, arrays: Columns, seed: int) -> DataSet:
    """Parts of samples [N, ...]; each of ``features`` is an argument of the model, in their order.

    Raises:
        DataError: with what is wrong, and in which array.
        UnknownNameError: there is no such array.
    """
    where, names = request.source, list(arrays)
    wanted, unsaid = checked_targets(request, names)
    beside = (*wanted, request.group, request.time)
    chosen = request.features or tuple(n for n in names if n not in beside and arrays[n].ndim > 1)
    if not chosen:
        raise DataError(f"{where}: no array [N, ...] beside the target; it holds {', '.join(names)}")
    for name in (request.group, request.time):
        check_columns(where, "group or time", () if name is None else (name,), names)
    inputs = [checked_inputs(f"{where}: {name!r}", _measured(arrays[name])) for name in chosen]
    targets = (
        _targets(where, [(name, arrays[name]) for name in wanted], task_of_targets(request))
        if wanted
        else no_targets(len(inputs[0]))
    )
    is_class = targets.values.ndim == 1 and np.issubdtype(targets.values.dtype, np.integer)
    columns = {n: column_of(where, n, arrays[n]) for n in (request.group, request.time) if n is not None}
    try:
        rows = parted(
            len(targets.values),
            seed,
            request.split,
            classes=targets.values if is_class else None,
            groups=group_numbers(request, columns),
            times=time_numbers(request, columns),
        )
    except DataError as error:
        raise DataError(f"{where}: {error}") from None
    notes = [*unsaid, *targets.notes]
    if len(chosen) > 1 and not request.features:
        notes.append(
            f"the model is called with {', '.join(chosen)}, in this order; features = [...] says another"
        )
    together = np.concatenate(
        [values.reshape(len(values), -1).astype(np.float64) for values in inputs], axis=1
    )
    if request.duplicates == "drop":
        rows, said = without_repeated(together, rows)
        notes += said
    notes += repeated_note(together, rows)
    if wanted:
        check_taught(f"{where}, training part", targets.values[rows[0]], targets.task, targets.names)
    standard = [standardised([values[part] for part in rows], request.standardise) for values in inputs]
    values, task, outputs = prepared_targets(request, targets, rows)
    parts = []
    for number, part in enumerate(rows):
        first, *more = (torch.from_numpy(np.ascontiguousarray(each[number])) for each, _ in standard)
        parts.append(Part(first, torch.from_numpy(values[part]), tuple(more), task))
    made = tuple(PreparedInput(name, scaling) for name, (_, scaling) in zip(chosen, standard, strict=True))
    return DataSet(
        request.text,
        parts[0],
        parts[1],
        parts[2],
        targets.names,
        notes=tuple(notes),
        prepared=Prepared(made, outputs),
    )


def _measured(array: NDArray[Any]) -> NDArray[Any]:
    """Bytes of more than two dimensions are those of pictures, and so measurements."""
    is_picture = array.dtype == np.uint8 and array.ndim > 2  # noqa: PLR2004 - [N, height, width]
    return array.astype(np.float32) if is_picture or array.dtype == bool else array


def _targets(where: str, arrays: list[tuple[str, NDArray[Any]]], task: str | None) -> Targets:
    (name, array), *others = arrays
    if not others and array.ndim > 1 and array.shape[1:] != (1,):
        if task is None and np.issubdtype(array.dtype, np.floating):
            task = "regression"
        if task is None:
            raise DataError(
                f"{where}: target {name!r} is {array.dtype} of shape {array.shape}; say what it means with "
                "task = one "
                f"of: {', '.join(TASKS)}"
            )
        found = task_named(task)
        array, said = held_targets(array, found)
        values = array.astype(np.float32 if np.issubdtype(array.dtype, np.floating) else np.int64)
        return Targets(values, check_targets(where, values, found), found, said)
    columns = [column_of(where, n, a.reshape(len(a)) if a.shape[1:] == (1,) else a) for n, a in arrays]
    refuse_row_counts(where, columns, task)
    return targets_of(where, columns, task)
