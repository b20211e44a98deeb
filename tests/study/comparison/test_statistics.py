"""Medians, intervals and tests against values found another way."""

from itertools import product
from math import inf

import numpy as np
import pytest
from scipy.stats import binom, bootstrap, wilcoxon

from narrower.study.comparison.statistics import holm, median_interval, signed_rank, smallest_p


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


def test_intervals_of_the_median_cover_it_as_often_as_they_say() -> None:
    """150 data sets of 25 seeds, in the columns; by the binomial distribution 142 +- 5 are right."""
    values = np.random.default_rng(11).exponential(1.0, (25, 150))
    _, low, high = median_interval(values)
    covered = int(((low <= np.log(2)) & (np.log(2) <= high)).sum())
    assert 132 <= covered <= 148
    assert (low < high).all()


def test_intervals_are_those_of_scipys_bootstrap() -> None:
    values = np.random.default_rng(5).normal(0.0, 1.0, 25)
    _, low, high = median_interval(values[:, None])
    other = bootstrap((values,), np.median, method="percentile", n_resamples=20_000, rng=1)
    ranked = np.sort(values)
    near = np.abs(
        np.searchsorted(ranked, [low[0], high[0]]) - np.searchsorted(ranked, other.confidence_interval)
    )
    assert near.max() <= 1  # bounds are order statistics: by chance the neighbour


def test_the_ends_leave_out_the_same_share_of_resamples_on_both_sides() -> None:
    values = np.random.default_rng(6).exponential(1.0, (30, 12))  # medians of pairs: few are equal
    median, low, high = median_interval(values)
    mirrored = median_interval(-values)
    assert [column.tolist() for column in mirrored] == [(-end).tolist() for end in (median, high, low)]


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_the_interval_has_the_ranks_of_the_exact_bootstrap(level: float) -> None:
    """The median of a resample is at most the k-th of n values where most draws are among the first k."""
    count = 1001
    _, low, high = median_interval(np.arange(1.0, count + 1)[:, None], level=level)
    below = binom.sf(count // 2, count, np.arange(1, count + 1) / count)
    exact = [1 + int(np.searchsorted(below, tail)) for tail in ((1 - level) / 2, (1 + level) / 2)]
    assert np.abs([low[0] - exact[0], high[0] - exact[1]]).max() <= 3


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
def test_a_higher_level_gives_a_wider_interval(level: float) -> None:
    values = np.random.default_rng(8).normal(0.0, 1.0, (40, 12))
    _, low, high = median_interval(values, level=level)
    _, lower, higher = median_interval(values, level=level + 0.04)
    assert (lower <= low).all()
    assert (higher >= high).all()
    assert (higher - lower).sum() > (high - low).sum()


def test_the_signed_rank_test_names_the_larger_of_two_samples_as_scipy_does() -> None:
    chance = np.random.default_rng(2)
    for shift in (-0.8, -0.2, 0.3, 1.0):
        second = chance.normal(0.0, 1.0, 30)
        first = second + shift + chance.normal(0.0, 0.5, 30)
        p, larger = signed_rank(first, second)
        assert p == pytest.approx(wilcoxon(first, second).pvalue)
        assert larger == (1 if shift > 0 else -1)
        assert signed_rank(second, first) == (pytest.approx(p), -larger)


def test_the_smallest_p_is_that_of_differences_of_one_sign() -> None:
    assert smallest_p(0) == smallest_p(1) == 1.0
    for pairs in (3, 6, 9):
        assert smallest_p(pairs) == pytest.approx(wilcoxon(np.arange(1, pairs + 1), method="exact").pvalue)
