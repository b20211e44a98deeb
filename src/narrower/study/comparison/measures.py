"""What is measured of a run, as functions of trials and of time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

from narrower.study.comparison.record import Comparison, SamplerRun, Setup
from narrower.study.comparison.statistics import Values, median_interval
from narrower.study.comparison.yardstick import SUM

GRID = 120  # points of a curve over time


@dataclass(frozen=True)
class Course:
    """The values of a run after some of its trials; in between the last one holds."""

    trials: Sequence[int]
    seconds: Sequence[float]
    values: Sequence[float]


@dataclass(frozen=True)
class Measure:
    """One quantity of a run; ``before`` is its value before the course begins (infinite: not known)."""

    name: str
    title: str
    before: float
    course: Callable[[Comparison, SamplerRun], Course]
    is_share: bool = False
    is_logarithmic: bool = False

    def over_trials(self, comparison: Comparison, run: SamplerRun, trials: Sequence[int]) -> Values:
        """The values after so many trials; the last one is held where the run ended earlier."""
        course = self.course(comparison, run)
        return self._held(course, np.searchsorted(course.trials, trials, side="right"))

    def over_seconds(self, comparison: Comparison, run: SamplerRun, seconds: Values) -> Values:
        """The values after so many seconds of search; the last one is held."""
        course = self.course(comparison, run)
        return self._held(course, np.searchsorted(course.seconds, seconds, side="right"))

    def _held(self, course: Course, positions: NDArray[np.intp]) -> Values:
        held: Values = np.array([self.before, *course.values])[positions]
        return held


@dataclass(frozen=True)
class Curve:
    """A measure of one sampler over all seeds: median and interval along ``x``; NaN where not known."""

    sampler: str
    x: Values
    median: Values
    low: Values
    high: Values


def measures(setup: Setup) -> tuple[Measure, ...]:
    """All of them, for the objectives of a comparison."""
    front = "the exact front" if setup.basis == "exact" else "the front of all runs together"
    return (
        Measure("hypervolume", f"hypervolume, relative to {front}", 0.0, _hypervolume, is_share=True),
        Measure("found", f"share of {front} that was found", 0.0, _found, is_share=True),
        Measure("distance", f"distance to {front} (IGD+)", inf, _distance, is_logarithmic=True),
        *(
            Measure(name, f"best {name.rpartition(':')[2].replace('_', ' ')}", worst, _best(name))
            for name, worst in _worst_values(setup).items()
        ),
        Measure("repeated", "proposals that repeated earlier ones", 0.0, _repeated),
        Measure("sampler_seconds", "the sampler's own time, s", 0.0, _sampler_seconds),
    )


def curves(comparison: Comparison, measure: Measure, *, over_time: bool) -> tuple[Curve, ...]:
    """One curve for each sampler, over trials or over seconds."""
    found = []
    for sampler in comparison.setup.samplers:
        runs = comparison.runs_of(sampler)
        if over_time:
            clocks = [seconds_until(comparison, run) for run in runs]
            x = np.geomspace(min(c[0] for c in clocks), max(c[-1] for c in clocks), GRID)
            rows = [measure.over_seconds(comparison, run, x) for run in runs]
        else:
            x = np.array(comparison.checkpoints, dtype=float)
            rows = [measure.over_trials(comparison, run, comparison.checkpoints) for run in runs]
        median, low, high = (np.where(np.isfinite(v), v, np.nan) for v in median_interval(np.stack(rows)))
        found.append(Curve(sampler, x, median, low, high))
    return tuple(found)


def seconds_until(comparison: Comparison, run: SamplerRun) -> Values:
    """The seconds of search until each checkpoint: the sampler's own, and ``plan_seconds`` for each trial."""
    trials = np.minimum(comparison.checkpoints, run.trials)
    seconds: Values = np.array(run.sampler_seconds) + trials * comparison.setup.plan_seconds
    return seconds


def _worst_values(setup: Setup) -> dict[str, float]:
    """For each objective the infinity that is worse than any value."""
    if setup.sum_direction is not None:
        return {SUM: -inf if setup.sum_direction == "maximize" else inf}
    return {o["metric"]: -inf if o["direction"] == "maximize" else inf for o in setup.objectives}


def _hypervolume(_comparison: Comparison, run: SamplerRun) -> Course:
    return Course(run.steps.trials, run.steps.seconds, run.steps.hypervolume)


def _found(_comparison: Comparison, run: SamplerRun) -> Course:
    return Course(run.steps.trials, run.steps.seconds, run.steps.found)


def _distance(_comparison: Comparison, run: SamplerRun) -> Course:
    return Course(run.steps.trials, run.steps.seconds, run.steps.distance)


def _best(objective: str) -> Callable[[Comparison, SamplerRun], Course]:
    return lambda _comparison, run: Course(run.steps.trials, run.steps.seconds, run.steps.best[objective])


def _repeated(comparison: Comparison, run: SamplerRun) -> Course:
    return Course(comparison.checkpoints, seconds_until(comparison, run).tolist(), run.repeated)


def _sampler_seconds(comparison: Comparison, run: SamplerRun) -> Course:
    return Course(comparison.checkpoints, seconds_until(comparison, run).tolist(), run.sampler_seconds)
