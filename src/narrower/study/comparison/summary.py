"""From the runs of all samplers and seeds to medians, intervals and tests."""

from collections.abc import Callable, Sequence
from itertools import combinations
from math import inf

import numpy as np

from narrower.study.comparison.measures import measures, seconds_until
from narrower.study.comparison.record import Comparison, Estimate, Needed, PairTest, SamplerRun, Summary
from narrower.study.comparison.statistics import Values, holm, median_interval, signed_rank

SHARES = (0.95, 0.99)  # of the best front's hypervolume
SIGNIFICANT = 0.05
ROUNDING = 1e-9  # of a sum of volumes
MEAN, FINAL = "mean_hypervolume", "hypervolume"  # what is tested


def summaries(comparison: Comparison) -> tuple[Summary, ...]:
    """One for each sampler."""
    return tuple(_summary(comparison, sampler) for sampler in comparison.setup.samplers)


def pair_tests(comparison: Comparison) -> tuple[PairTest, ...]:
    """Each pair of samplers on the hypervolume, on its mean over the trials and at the end."""
    found: list[tuple[str, str, str, float, int]] = []
    for name, value in TESTED.items():
        values = {
            sampler: np.array([value(comparison, run) for run in comparison.runs_of(sampler)])
            for sampler in comparison.setup.samplers
        }
        for first, second in combinations(comparison.setup.samplers, 2):
            found.append((name, first, second, *signed_rank(values[first], values[second])))
    corrected = holm([p for *_, p, _ in found])
    return tuple(
        PairTest(
            name,
            first,
            second,
            p,
            fair,
            None if fair >= SIGNIFICANT or larger == 0 else first if larger > 0 else second,
        )
        for (name, first, second, p, larger), fair in zip(found, corrected, strict=True)
    )


def mean_hypervolume(comparison: Comparison, run: SamplerRun) -> float:
    """The mean over all trials of the comparison; the last value is held where the run ended earlier."""
    starts = np.array([*run.steps.trials, comparison.setup.trials + 1])
    return float((np.diff(starts) * run.steps.hypervolume).sum() / comparison.setup.trials)


def final_hypervolume(_comparison: Comparison, run: SamplerRun) -> float:
    """The value at the end of the run; 0 where no trial counted."""
    return run.steps.hypervolume[-1] if run.steps.trials else 0.0


TESTED: dict[str, Callable[[Comparison, SamplerRun], float]] = {
    MEAN: mean_hypervolume,
    FINAL: final_hypervolume,
}


def estimate(values: Sequence[float] | Values) -> Estimate:
    """Median and interval over seeds; infinite values stand for not reached."""
    return Estimate(
        *(float(v) if np.isfinite(v) else None for v in median_interval(np.array(values, dtype=float)))
    )


def _summary(comparison: Comparison, sampler: str) -> Summary:
    runs = comparison.runs_of(sampler)
    end = (comparison.setup.trials,)
    last = {
        m.name: estimate([m.over_trials(comparison, run, end)[0] for run in runs])
        for m in measures(comparison.setup)
    }
    return Summary(
        sampler=sampler,
        needed=tuple(_needed(runs, share) for share in SHARES),
        mean_hypervolume=estimate([mean_hypervolume(comparison, run) for run in runs]),
        hypervolume=last["hypervolume"],
        found=last["found"],
        distance=last["distance"],
        best={name: last[name] for name in comparison.setup.best},
        repeated=last["repeated"],
        sampler_seconds=last["sampler_seconds"],
        seconds=estimate([seconds_until(comparison, run)[-1] for run in runs]),
        drawn=sum(run.drawn for run in runs),
        failed=sum(run.failed for run in runs),
    )


def _needed(runs: Sequence[SamplerRun], share: float) -> Needed:
    at = [
        next((i for i, value in enumerate(run.steps.hypervolume) if value >= share - ROUNDING), None)
        for run in runs
    ]
    return Needed(
        share,
        sum(position is not None for position in at),
        estimate([inf if i is None else run.steps.trials[i] for i, run in zip(at, runs, strict=True)]),
        estimate([inf if i is None else run.steps.seconds[i] for i, run in zip(at, runs, strict=True)]),
    )
