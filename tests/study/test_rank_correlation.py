"""Spearman's correlation against SciPy's."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from narrower.study.rank_correlation import rank_correlation


@pytest.mark.parametrize("digits", [0, 1, 6])
def test_equals_scipy_also_where_values_are_equal(digits: int) -> None:
    drawn = np.random.default_rng(digits).normal(size=(2, 40)).round(digits)
    first, second = drawn[0].tolist(), (drawn[1] - drawn[0]).round(digits).tolist()
    assert rank_correlation(first, second) == pytest.approx(spearmanr(first, second).statistic, abs=1e-12)
