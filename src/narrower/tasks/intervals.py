"""How sure a measured metric is."""

from collections.abc import Sequence
from math import sqrt
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrower.tasks.task import SampleMetric

FEWEST_DRAWS = 200  # whose percentiles are told
FEWEST_OF_WHOLE = 50  # of metrics that are no function of sums: seconds, where there are many samples
DRAWS_TOGETHER = 50  # so that memory stays small where there are many samples
DRAWN_SAMPLES = 2**28  # in all draws together, where they need not be the fewest
DRAWN_OF_WHOLE = 2**22  # the same of metrics that are no function of sums, which take longer
CONFIDENCE = 0.95
WILSON = "Wilson"


def interval(metric: SampleMetric, contributions: NDArray[Any]) -> tuple[float, float]:
    """95 % interval of a metric, from what each sample contributes: [N] or [N, K].

    Wilson's for shares; else the percentiles of a bootstrap over samples.
    """
    found = intervals([(metric, contributions)])[0]
    return (np.nan, np.nan) if found is None else found


def intervals(measured: Sequence[tuple[SampleMetric, NDArray[Any]]]) -> list[tuple[float, float] | None]:
    """95 % intervals of metrics of the same samples, with the same draws; None where no draw has a value."""
    others = [each for each in measured if not each[0].is_share]
    draws = iter(resampled_each(others) if others else ())
    return [
        wilson_interval(int(own.sum()), len(own)) if metric.is_share else _middle(metric, own, next(draws))
        for metric, own in measured
    ]


def _middle(
    metric: SampleMetric, contributions: NDArray[Any], draws: NDArray[np.float64]
) -> tuple[float, float] | None:
    """Percentiles of the draws; where they are too few for these, those of a normal distribution."""
    finite = draws[np.isfinite(draws)]
    if not len(finite):
        return None
    if len(draws) < FEWEST_DRAWS:
        half = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * float(finite.std())
        value = value_of(metric, contributions)
        return value - half, value + half
    tail = (1 - CONFIDENCE) / 2
    low, high = quantiles(draws, (tail, 1 - tail))
    return low, high


def quantiles(draws: NDArray[np.float64], shares: Sequence[float]) -> list[float]:
    """What so many of the draws lie below; of few draws, of a normal distribution with their spread."""
    if len(draws) < FEWEST_DRAWS:
        middle, deviation = float(np.nanmean(draws)), float(np.nanstd(draws, ddof=1))
        return [middle + NormalDist().inv_cdf(share) * deviation for share in shares]
    found: list[float] = np.nanquantile(draws, tuple(shares)).tolist()
    return found


def interval_words(metric: SampleMetric, samples: int) -> str:
    """How the interval of a metric of so many samples is found."""
    if metric.is_share:
        return WILSON
    draws = draws_of(metric, samples)
    form = " (normal)" if draws < FEWEST_DRAWS else ""
    return f"bootstrap{form}: {draws:,} draws of {samples:,} samples, seed {samples}"


def draws_of(metric: SampleMetric, samples: int) -> int:
    """How often so many samples are drawn anew."""
    if metric.of_all is None:
        return min(metric.draws, max(FEWEST_DRAWS, DRAWN_SAMPLES // samples))
    return min(metric.draws, max(FEWEST_OF_WHOLE, DRAWN_OF_WHOLE // samples))


def value_of(metric: SampleMetric, contributions: NDArray[Any]) -> float:
    """The metric of one training, from what each sample contributes."""
    columns = np.asarray(contributions, dtype=np.float64).reshape(len(contributions), -1)
    if metric.of_all is not None:
        return float(metric.of_all(columns, np.ones((1, len(columns))))[0])
    return metric.value(tuple(columns.sum(axis=0).tolist()), len(columns))


def share_interval(share: float, samples: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of so many samples."""
    return wilson_interval(round(share * samples), samples)


def resampled(metric: SampleMetric, contributions: NDArray[Any]) -> NDArray[np.float64]:
    """The metric of as many samples, drawn anew with repetition, up to a thousand times."""
    (values,) = resampled_each([(metric, contributions)])
    return values


def resampled_each(measured: Sequence[tuple[SampleMetric, NDArray[Any]]]) -> list[NDArray[np.float64]]:
    """The same of several metrics, or of several plans, of the same samples.

    The same draws for everything that has as many samples, so that differences are those of pairs.
    """
    count = len(measured[0][1])
    columns = [np.asarray(own, dtype=np.float64).reshape(count, -1) for _, own in measured]
    wanted = [draws_of(metric, count) for metric, _ in measured]
    chance = np.random.default_rng(count)
    values: list[list[float]] = [[] for _ in measured]
    for start in range(0, max(wanted), DRAWS_TOGETHER):
        times = _times(chance, count, min(DRAWS_TOGETHER, max(wanted) - start))
        for number, (metric, _) in enumerate(measured):
            if start < wanted[number]:
                values[number] += _values(metric, columns[number], times[: wanted[number] - start])
    return [np.array(own) for own in values]


def _times(chance: np.random.Generator, count: int, draws: int) -> NDArray[np.float64]:
    """How often each of some samples is among as many that are drawn from them, [draws, count]."""
    drawn = chance.integers(0, count, size=(draws, count)) + count * np.arange(draws)[:, None]
    return np.bincount(drawn.ravel(), minlength=draws * count).reshape(draws, count).astype(np.float64)


def _values(metric: SampleMetric, columns: NDArray[np.float64], times: NDArray[np.float64]) -> list[float]:
    if metric.of_all is not None:
        found: list[float] = metric.of_all(columns, times).tolist()
        return found
    return [metric.value(tuple(sums), len(columns)) for sums in (times @ columns).tolist()]


def wilson_interval(successes: float, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Score interval of a binomial share (Wilson 1927); within [0, 1] and sensible at 0 and 1.

    Successes may be a mean of several trials of the same samples.
    """
    if total <= 0:
        raise ValueError("an interval needs at least one sample")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / total
    scale = 1 + z * z / total
    centre = (share + z * z / (2 * total)) / scale
    half = z * sqrt(share * (1 - share) / total + z * z / (4 * total * total)) / scale
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == total else min(1.0, centre + half)
    return low, high
