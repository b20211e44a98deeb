"""All trials of a run as columns, and which of them were admitted."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from narrower.report.record import RunRecord
from narrower.searching.objective import Constraint, first_broken
from narrower.searching.recorded_space import OptionArray, RecordedSpace, recorded_space
from narrower.store.run_directory import RunDirectory
from narrower.store.trials import TrialStore
from narrower.tasks.task import chances

Column = NDArray[np.float64]


@dataclass(frozen=True)
class TrialTable:
    """The complete trials of a run in their order.

    ``seconds`` [N] runs from the start of the search without the pauses before it was resumed. ``metrics``
    [N] hold NaN where a trial has none. ``admitted`` [N] says whether the constraints hold.
    """

    numbers: NDArray[np.int64]
    plan_indices: tuple[int, ...]
    seconds: Column
    metrics: dict[str, Column]
    admitted: NDArray[np.bool_]
    space: RecordedSpace
    facts: dict[str, object]

    def __len__(self) -> int:
        return len(self.numbers)

    @cached_property
    def options(self) -> OptionArray:
        """The option of every slot, [N, slots]."""
        return self.space.options(self.plan_indices)

    @cached_property
    def position(self) -> dict[int, int]:
        """The row of each trial, by its number."""
        return {int(number): row for row, number in enumerate(self.numbers)}


def read_trials(run: RunDirectory, record: RunRecord) -> TrialTable:
    """Read the complete trials of a run.

    Raises:
        RunError: they cannot be read.
    """
    constraints = [Constraint(**constraint) for constraint in record.constraints or ()]
    numbers, indices, finished, admitted = [], [], [], []
    with TrialStore.open(run.trials, read_only=True) as store:
        facts = store.facts()
        columns: dict[str, list[float]] = {name: [] for name in store.metrics}
        for trial in store.trials():
            if trial.state != "complete":
                continue
            numbers.append(trial.number)
            indices.append(trial.plan_index)
            finished.append(trial.finished)
            admitted.append(first_broken(constraints, trial.metrics) is None)
            for name, column in columns.items():
                column.append(trial.metrics.get(name, np.nan))
    return TrialTable(
        np.array(numbers, dtype=np.int64),
        tuple(indices),
        _without_pauses(np.array(finished, dtype=np.float64)),
        {name: np.array(column, dtype=np.float64) for name, column in columns.items()},
        np.array(admitted, dtype=np.bool_),
        recorded_space(facts, run.trials),
        facts,
    )


def losses(record: RunRecord, table: TrialTable) -> NDArray[np.float64]:
    """What the search minimised, [N, objectives]; one column where the objectives were added up."""
    signed = [_sign(o["direction"]) * table.metrics[o["metric"]] for o in record.objectives]
    if record.sum_direction is not None:
        scales = [objective["scale"] for objective in record.objectives]
        signed = [sum(scale * column for scale, column in zip(scales, signed, strict=True))]
    return np.stack(signed, axis=1)


def reference_values(record: RunRecord, table: TrialTable) -> dict[str, float]:
    """For each objective the value from which on a plan counts: that of chance, and the dearest plan.

    For what has no such value by its nature (a metric of the user's own) it is the worst of the trials.
    """
    known = {**chances(record.described_task.metrics, record.outputs), **(record.worst_costs or {})}
    values = {}
    for objective in record.objectives:
        name = objective["metric"]
        column = table.metrics[name][table.admitted]
        worst = (np.nanmin if objective["direction"] == "maximize" else np.nanmax) if len(column) else None
        values[name] = known[name] if name in known else float(worst(column)) if worst else float("nan")
    return values


def _sign(direction: str) -> int:
    return -1 if direction == "maximize" else 1


def _without_pauses(finished: Column) -> Column:
    """Clock times that begin again at zero when a run is resumed, put one after the other."""
    if len(finished) == 0:
        return finished
    fell = np.flatnonzero(np.diff(finished) < 0) + 1
    shifts = np.zeros(len(finished))
    shifts[fell] = finished[fell - 1]
    return finished + np.cumsum(shifts)
