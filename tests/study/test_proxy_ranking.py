"""Rank correlations of proxies: against SciPy's, with intervals as Fisher's transformation gives them."""

from math import atanh, sqrt, tanh
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from narrower.study.proxy_ranking import ProxyRank, _rank, best_first


def rows(proxy: np.ndarray, metric: np.ndarray) -> list[dict[str, Any]]:
    return [{"flow": a, "mse": b} for a, b in zip(proxy.tolist(), metric.tolist(), strict=True)]


@pytest.mark.parametrize("sign", [1, -1])
def test_a_proxy_that_is_large_where_the_metric_is_good_ranks_well(sign: int) -> None:
    first, noise = np.random.default_rng(5).normal(size=(2, 150))
    metric = sign * first + noise
    found = _rank("flow", None, rows(np.exp(first), metric), "mse", sign)
    expected = float(spearmanr(first, sign * metric).statistic)
    assert found.correlation == pytest.approx(expected)
    assert 0.5 < expected < 0.9
    assert found.interval is not None
    error = 1.96 * sqrt((1 + expected**2 / 2) / (150 - 3))  # Bonett and Wright, 2000
    ends = [tanh(atanh(expected) + end) for end in (-error, error)]
    assert found.interval == pytest.approx(ends, abs=0.025)


def test_what_has_no_order_has_no_correlation() -> None:
    same, some = np.ones(9), np.arange(9.0)
    for proxy, metric in ((same, some), (some, same)):
        found = _rank("flow", None, rows(proxy, metric), "mse", 1)
        assert (found.correlation, found.interval, found.failure) == (None, None, "all values are the same")
    few = _rank("flow", None, rows(some[:3], some[:3]), "mse", 1)
    assert (few.correlation, few.failure) == (None, "only 3 candidates could be scored")
    least = _rank("flow", None, rows(some[:4], some[:4]), "mse", 1)  # draws of one value are left out
    assert (least.correlation, least.interval) == (pytest.approx(1.0), pytest.approx((1.0, 1.0)))
    failed = _rank("flow", "no gradient", rows(some, some), "mse", 1)
    assert (failed.correlation, failed.failure) == (None, "no gradient")


def test_the_best_proxy_comes_first_and_those_without_a_rank_last() -> None:
    correlations = [0.2, None, -0.7, 0.9, None, 0.0]
    ranks = [ProxyRank(str(number), each, None) for number, each in enumerate(correlations)]
    assert [rank.proxy for rank in best_first(ranks)] == ["3", "0", "5", "2", "1", "4"]
