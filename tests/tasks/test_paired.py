"""McNemar's exact test against sums of binomial coefficients; means against their standard errors."""

from math import comb, sqrt

import numpy as np
import pytest

from narrower.tasks.classification.task import CLASSIFICATION
from narrower.tasks.paired import is_better
from narrower.tasks.task import SampleMetric, leading

ACCURACY = leading(CLASSIFICATION)
ERROR = SampleMetric("error", "", "minimize", lambda outputs, _targets: outputs)
GAIN = SampleMetric("gain", "", "maximize", ERROR.contributions)


def hits(own: int, rival: int, both: int = 30, neither: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Samples that only one, both and neither get right."""
    counts = (own, rival, both, neither)
    first = np.repeat([True, False, True, False], counts)
    second = np.repeat([False, True, True, False], counts)
    return first, second


def two_sided(own: int, rival: int) -> float:
    count = own + rival
    tail = sum(comb(count, wins) for wins in range(max(own, rival), count + 1))
    return min(1.0, 2 * tail / 2**count)


@pytest.mark.parametrize(("own", "rival"), [(6, 0), (5, 0), (10, 2), (9, 2), (40, 20), (33, 20), (120, 90)])
def test_only_samples_that_one_gets_right_decide(own: int, rival: int) -> None:
    first, second = hits(own, rival)
    assert is_better(ACCURACY, first, second) == (two_sided(own, rival) < 0.05)
    assert not is_better(ACCURACY, second, first)


def test_both_outcomes_occur_above() -> None:
    assert two_sided(6, 0) < 0.05 < two_sided(5, 0)
    assert two_sided(10, 2) < 0.05 < two_sided(9, 2)


def test_equal_plans_are_not_more_accurate() -> None:
    first, _ = hits(7, 7)
    assert not is_better(ACCURACY, first, first)


def with_gain(deviations: float, count: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Errors of two plans; the first's are smaller by so many standard errors of the difference."""
    chance = np.random.default_rng(3)
    rival, noise = chance.normal(5.0, 2.0, count), chance.normal(0.0, 1.0, count)
    noise = (noise - noise.mean()) / noise.std()
    return rival - 0.01 * (noise + deviations / sqrt(count)), rival


@pytest.mark.parametrize(("deviations", "expected"), [(-3.0, False), (0.0, False), (1.6, False), (2.4, True)])
def test_a_mean_is_better_from_two_standard_errors_of_the_difference_on(
    deviations: float, expected: bool
) -> None:
    """However small the difference is, and however far both lie from zero: samples are compared in pairs."""
    own, rival = with_gain(deviations)
    assert is_better(ERROR, own, rival) == expected
    assert is_better(GAIN, own, rival) == (-deviations > 2.0)
    assert is_better(GAIN, rival, own) == expected


def test_the_bootstrap_leaves_out_a_fortieth() -> None:
    """Of a normal mean 1.96 standard errors are needed; the draws of 1000 are off by 0.08 of one."""
    found = {
        deviations: [is_better(ERROR, *with_gain(deviations, count)) for count in range(300, 308)]
        for deviations in (1.8, 2.06)
    }
    assert sum(found[1.8]) <= 1
    assert sum(found[2.06]) >= 5


def test_a_plan_is_not_better_than_itself() -> None:
    own, _ = with_gain(1.0)
    assert not is_better(ERROR, own, own)
    assert not is_better(GAIN, own, own)
