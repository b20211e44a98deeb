"""Medians with bootstrap intervals, and pairwise tests; infinity stands for what was not reached."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata, wilcoxon

Values = NDArray[np.float64]
LEVEL = 0.95
RESAMPLES = 2000
SAME = 1e-12  # differences below are rounding


def median_interval(values: Values, *, level: float = LEVEL) -> tuple[Values, Values, Values]:
    """Median and percentile bootstrap interval over the first axis of [seeds, ...].

    The resamples are the same for all columns and in every call. Bounds are medians of resamples, never
    values between two of them, so that what is infinite in too many seeds stays infinite.
    """
    count = len(values)
    chosen = np.random.default_rng(0).integers(count, size=(RESAMPLES, count))
    medians = np.sort(np.median(values[chosen], axis=1), axis=0)
    beyond = int((1 - level) / 2 * RESAMPLES)
    return np.median(values, axis=0), medians[beyond], medians[RESAMPLES - 1 - beyond]


def signed_rank(first: Values, second: Values) -> tuple[float, int]:
    """Wilcoxon's signed-rank test of paired values: two-sided p, and which is larger (1, -1, or 0: neither).

    Pairs without a difference are left out; where all are, p is 1.
    """
    differences = first - second
    differences = differences[np.abs(differences) > SAME]
    if len(differences) == 0:
        return 1.0, 0
    ranks = rankdata(np.abs(differences))
    balance = float(ranks[differences > 0].sum() - ranks[differences < 0].sum())
    return float(wilcoxon(differences).pvalue), int(np.sign(balance))


def smallest_p(pairs: int) -> float:
    """The smallest p that the two-sided signed-rank test can give with so many pairs."""
    return float(min(1.0, 2.0 ** (1 - pairs)))


def holm(p_values: Sequence[float]) -> list[float]:
    """P values corrected for being several, by Holm's step-down method (Holm, 1979)."""
    corrected, count = [1.0] * len(p_values), len(p_values)
    largest = 0.0
    for position, index in enumerate(sorted(range(count), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (count - position) * p_values[index]))
        corrected[index] = largest
    return corrected
