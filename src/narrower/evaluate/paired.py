"""Which of two plans is more accurate, when both were scored on the same samples."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

SIGNIFICANCE = 0.05


def is_more_accurate(hits: NDArray[np.bool_], rival_hits: NDArray[np.bool_]) -> bool:
    """Whether the first is more accurate at 95 % by McNemar's exact test (McNemar 1947).

    Only samples that one gets right and the other wrong count: [N] truth values of each.
    """
    only_own = int((hits & ~rival_hits).sum())
    only_rival = int((rival_hits & ~hits).sum())
    if only_own <= only_rival:
        return False
    return bool(binomtest(only_own, only_own + only_rival).pvalue < SIGNIFICANCE)
