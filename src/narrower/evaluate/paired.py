"""Which of two plans is more accurate, when both were scored on the same samples."""

import numpy as np
from numpy.typing import NDArray

SIGNIFICANCE = 0.05


def is_more_accurate(hits: NDArray[np.bool_], rival_hits: NDArray[np.bool_]) -> bool:
    """Whether the first is more accurate at 95 % by McNemar's exact test (McNemar 1947).

    Only samples that one gets right and the other wrong count: [N] truth values of each.
    """
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
    return float(min(1.0, 2 * np.exp(ways - tosses * np.log(2.0)).sum()))
