"""Which of two plans is better, when both were scored on the same samples."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrower.tasks.intervals import quantiles, resampled_each
from narrower.tasks.task import SampleMetric

SIGNIFICANCE = 0.05


def is_better(metric: SampleMetric, own: NDArray[Any], rival: NDArray[Any]) -> bool:
    """Whether the first is better at 95 %, from what each sample contributes to both: [N] or [N, K].

    Shares are compared by McNemar's exact test, everything else by a paired bootstrap.
    """
    if metric.is_share:
        return _has_more_hits(own, rival)
    first, second = resampled_each([(metric, own), (metric, rival)])
    gains = metric.sign * (first - second)
    return quantiles(gains, (SIGNIFICANCE / 2,))[0] > 0


def _has_more_hits(hits: NDArray[np.bool_], rival_hits: NDArray[np.bool_]) -> bool:
    """McNemar's exact test (McNemar 1947): only samples count that one gets right and the other wrong."""
    only_own = int((hits & ~rival_hits).sum())
    only_rival = int((rival_hits & ~hits).sum())
    if only_own <= only_rival:
        return False
    return _two_sided(only_own, only_own + only_rival) < SIGNIFICANCE


def _two_sided(heads: int, tosses: int) -> float:
    """How probable so many heads or more, of more than half, are of a fair coin, and the same of tails."""
    logarithms = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, tosses + 1)))])  # of factorials
    more = np.arange(heads, tosses + 1)
    ways = logarithms[tosses] - logarithms[more] - logarithms[tosses - more]
    return float(2 * np.exp(ways - tosses * np.log(2.0)).sum())
