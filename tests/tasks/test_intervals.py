"""Wilson's interval against SciPy's."""

import pytest
from scipy.stats import binomtest

from narrower.tasks.intervals import wilson_interval


@pytest.mark.parametrize(("hits", "trials"), [(0, 10), (10, 10), (5, 9), (5815, 8800), (1, 512)])
def test_equals_scipy(hits: int, trials: int) -> None:
    expected = binomtest(hits, trials).proportion_ci(method="wilson")
    assert wilson_interval(hits, trials) == pytest.approx((expected.low, expected.high), abs=1e-9)
