"""How sure a measured metric is."""

from math import sqrt
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrower.tasks.task import SampleMetric

DRAWS = 1000
DRAWS_TOGETHER = 50  # so that memory stays small where there are many samples
CONFIDENCE = 0.95


def interval(metric: SampleMetric, contributions: NDArray[Any]) -> tuple[float, float]:
    """95 % interval of a metric, from what each sample contributes: [N] or [N, K].

    Wilson's for shares; else the percentiles of a bootstrap over samples.
    """
    if metric.is_share:
        return wilson_interval(int(contributions.sum()), len(contributions))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(resampled(metric, contributions), (tail, 1 - tail)).tolist()
    return low, high


def share_interval(share: float, samples: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of so many samples."""
    return wilson_interval(round(share * samples), samples)


def resampled(metric: SampleMetric, contributions: NDArray[Any]) -> NDArray[np.float64]:
    """The metric of as many samples, drawn anew with repetition, a thousand times.

    The same draws for everything that has as many samples, so that differences are those of pairs.
    """
    columns = np.asarray(contributions, dtype=np.float64).reshape(len(contributions), -1)
    count = len(columns)
    chance = np.random.default_rng(count)
    even = np.full(count, 1 / count)
    values = []
    for _ in range(DRAWS // DRAWS_TOGETHER):
        times = chance.multinomial(count, even, size=DRAWS_TOGETHER)
        if metric.of_all is not None:
            values += metric.of_all(columns, times.astype(np.float64)).tolist()
            continue
        values += [metric.value(tuple(sums), count) for sums in (times @ columns).tolist()]
    return np.array(values)


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
