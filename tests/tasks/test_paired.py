"""McNemar's exact test against sums of binomial coefficients."""

from math import comb

import numpy as np
import pytest

from narrower.tasks.classification.task import CLASSIFICATION
from narrower.tasks.paired import is_better
from narrower.tasks.task import leading

ACCURACY = leading(CLASSIFICATION)


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
