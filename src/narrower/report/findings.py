"""All that a report shows of a run, computed once for its page and its pictures."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from narrower.report.advice import Advice, advise
from narrower.report.hypervolume_curve import HypervolumeCurve, hypervolume_curve
from narrower.report.mixing import mixing_sentence
from narrower.report.read_record import read_record
from narrower.report.record import Member, RunRecord
from narrower.report.sensitivity import Sensitivity, sensitivity
from narrower.report.trial_table import TrialTable, losses, read_trials, reference_values
from narrower.report.uniform import UniformTrial, uniform_trials
from narrower.searching.objective import is_quality, listed_metrics
from narrower.searching.recorded_space import Feature
from narrower.searching.space_record import PlanTables
from narrower.store.run_directory import RunDirectory

MOST_POINTS = 8_000  # trials drawn beside the front; more make a page slow
FALLBACK_COST = "bitops"


@dataclass(frozen=True)
class Findings:
    """A run, read and digested."""

    run: RunDirectory
    record: RunRecord
    table: TrialTable
    importance: tuple[tuple[str, float], ...] = ()  # of each choice, the largest first; empty: not computed

    @cached_property
    def uniform(self) -> tuple[UniformTrial, ...]:
        """Admitted trials with the same widths in every layer."""
        return tuple(trial for trial in uniform_trials(self.table) if self.table.admitted[trial.row])

    @cached_property
    def advice(self) -> Advice:
        return advise(self.record, self.table, self.uniform)

    @cached_property
    def mixing(self) -> str | None:
        """By how much mixing formats pays, in a sentence."""
        return mixing_sentence(self.record, self.table, self.uniform)

    @cached_property
    def sensitivity(self) -> Sensitivity:
        return sensitivity(self.table, self.record.metric.name)

    @cached_property
    def reference(self) -> dict[str, float]:
        """The point up to which hypervolumes are measured, by objective."""
        return reference_values(self.record, self.table)

    @cached_property
    def curve(self) -> HypervolumeCurve | None:
        """How the hypervolume grew; None where the objectives were added up, for there is no volume then."""
        if self.record.sum_direction is not None or len(self.table) == 0:
            return None
        signs = [-1 if o["direction"] == "maximize" else 1 for o in self.record.objectives]
        reference = np.array(list(self.reference.values())) * np.array(signs)
        return hypervolume_curve(
            losses(self.record, self.table), self.table.admitted, self.table.seconds, reference
        )

    @cached_property
    def quality(self) -> str:
        """The metric on the vertical axis: the first objective that is measured on data."""
        return next(
            (o["metric"] for o in self.record.objectives if is_quality(o["metric"])), self.record.metric.name
        )

    @cached_property
    def costs(self) -> tuple[str, ...]:
        """The metrics on the horizontal axes: the objectives that are costs."""
        return tuple(o["metric"] for o in self.record.objectives if not is_quality(o["metric"])) or (
            FALLBACK_COST,
        )

    def is_larger_better(self, metric: str) -> bool:
        """By the direction that the search was given, else by the nature of the metric."""
        for objective in self.record.objectives:
            if objective["metric"] == metric:
                return bool(objective["direction"] == "maximize")
        for own in self.record.described_task.metrics:
            if own.name == metric:
                return own.sign > 0
        return listed_metrics()[metric].direction == "maximize"

    @cached_property
    def members(self) -> tuple[Member, ...]:
        """The front from the worst (cheapest) member to the best."""
        sign = 1 if self.is_larger_better(self.quality) else -1
        return tuple(sorted(self.record.members, key=lambda member: sign * member.metrics[self.quality]))

    @cached_property
    def others(self) -> NDArray[np.intp]:
        """Rows of admitted trials that are neither on the front nor uniform; at most ``MOST_POINTS``."""
        apart = np.zeros(len(self.table), dtype=np.bool_)
        apart[[trial.row for trial in self.uniform]] = True
        numbers = [member.number for member in self.record.members]
        rows = np.flatnonzero(self.table.admitted & ~apart & ~np.isin(self.table.numbers, numbers))
        if len(rows) <= MOST_POINTS:
            return rows
        return np.sort(np.random.default_rng(0).choice(rows, MOST_POINTS, replace=False))

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        """What there was to choose."""
        return tuple(feature for feature in self.table.space.features if feature.is_chosen)

    def plan(self, member: Member) -> PlanTables:
        """A member's plan in the order of the network."""
        plan, order = self.table.space.plan(member.plan_index), [row.layer for row in self.record.layers]
        return dict(sorted(plan.items(), key=lambda e: order.index(e[0]) if e[0] in order else len(order)))


def read_findings(run: RunDirectory) -> Findings:
    """Read a run.

    Raises:
        RunError: there is none, or it cannot be read.
    """
    record = read_record(run)
    return Findings(run, record, read_trials(run, record))
