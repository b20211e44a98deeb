"""Medians, intervals and tests against values found another way."""

from itertools import product
from math import inf

import numpy as np
import pytest

from narrower.compare.statistics import holm, median_interval, signed_rank, smallest_p


def test_the_median_and_its_interval() -> None:
    values = np.random.default_rng(3).normal(5.0, 2.0, (25, 1))
    median, low, high = median_interval(values)
    assert median[0] == sorted(values[:, 0])[12]
    # ranks 8 and 18 of 25 bound the median at 95 % by the binomial distribution
    ranked = sorted(values[:, 0])
    assert ranked[6] <= low[0] <= ranked[9]
    assert ranked[15] <= high[0] <= ranked[18]


def test_what_most_seeds_do_not_reach_stays_not_reached() -> None:
    values = np.array([3.0, 4.0, inf, inf, inf])[:, None]
    median, low, high = median_interval(values)
    assert (median[0], high[0]) == (inf, inf)
    assert low[0] in (3.0, 4.0, inf)


def test_the_signed_rank_test_equals_counting_every_sign() -> None:
    first = np.array([5.0, 7.5, 3.1, 9.2, 6.6, 8.3])
    second = np.array([4.0, 7.0, 3.4, 6.9, 6.5, 6.1])
    differences = first - second
    ranks = np.argsort(np.argsort(np.abs(differences))) + 1
    observed = ranks[differences > 0].sum()
    sums = [
        sum(r for r, keep in zip(ranks, signs, strict=True) if keep) for signs in product([0, 1], repeat=6)
    ]
    extreme = max(observed, ranks.sum() - observed)
    by_hand = min(1.0, 2 * sum(s >= extreme for s in sums) / len(sums))
    p, larger = signed_rank(first, second)
    assert p == pytest.approx(by_hand)
    assert larger == 1
    assert signed_rank(first, first) == (1.0, 0)
    assert smallest_p(6) == 2 / 64


def test_holms_correction_by_hand() -> None:
    # 3 tests: 0.01 * 3, then max(0.03, 0.02 * 2), then max(0.04, 0.04 * 1)
    assert holm([0.02, 0.01, 0.04]) == pytest.approx([0.04, 0.03, 0.04])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
