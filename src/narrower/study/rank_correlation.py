"""How much two measures agree on an order: Spearman's correlation, without SciPy's statistics at start."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """The correlation of ranks, of which equal values share the mean (Spearman 1904)."""
    return float(np.corrcoef(_ranks(first), _ranks(second))[0, 1])


def _ranks(values: Sequence[float]) -> NDArray[np.float64]:
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    means: NDArray[np.float64] = np.cumsum(sizes) - (sizes - 1) / 2
    return means[group]
