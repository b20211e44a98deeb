"""Shares of a hypervolume, of a front, and distances to it, on numbers that fit on a hand."""

import numpy as np
import pytest

from narrower.errors import SettingsError
from narrower.searching.objective import Objective, Objectives
from narrower.study.comparison.yardstick import objective_names, objective_signs, yardstick

OBJECTIVES = Objectives((Objective("accuracy", "maximize"), Objective("bitops", "minimize")))
# columns: minus the accuracy, bit operations
LOSSES = np.array([[-0.9, 10.0], [-0.7, 4.0], [-0.6, 8.0], [-0.1, 1.0]])
REFERENCE = {"accuracy": 0.2, "bitops": 10.0}


def test_only_points_within_the_reference_count() -> None:
    measure = yardstick(LOSSES, OBJECTIVES, REFERENCE)
    # 0.1 is below chance, 0.6 at 8 is beaten; the dearest plan is on the front, but without volume
    assert sorted(map(tuple, measure.front.tolist())) == [(-0.9, 10.0), (-0.7, 4.0)]
    assert measure.volume == pytest.approx((0.7 - 0.2) * (10 - 4))
    assert measure.best.tolist() == [-0.9, 1.0]


def test_shares_and_distances() -> None:
    measure = yardstick(LOSSES, OBJECTIVES, REFERENCE)
    found = LOSSES[[2]]
    assert measure.share(found) == pytest.approx((0.6 - 0.2) * (10 - 8) / 3.0)
    assert measure.found(found) == 0
    assert measure.found(LOSSES[[1, 2]]) == 0.5
    assert measure.distance(measure.front) == 0
    spans = np.array([-0.2 + 0.9, 10 - 4])
    worse = [np.array([0.3, 0.0]) / spans, np.array([0.1, 4.0]) / spans]
    assert measure.distance(found) == pytest.approx(np.mean([np.linalg.norm(row) for row in worse]))


def test_nothing_to_measure_is_said() -> None:
    with pytest.raises(SettingsError, match="no plan is better than the reference point"):
        yardstick(LOSSES[[3]], OBJECTIVES, REFERENCE)
    with pytest.raises(SettingsError, match="admit no plan"):
        yardstick(LOSSES[:0], OBJECTIVES, REFERENCE)


@pytest.mark.parametrize(("direction", "sign"), [("maximize", -1), ("minimize", 1)])
def test_a_sum_is_one_objective(direction: str, sign: int) -> None:
    summed = Objectives(OBJECTIVES.each, direction)  # type: ignore[arg-type]
    assert objective_names(summed) == ("sum of scaled metrics",)
    assert objective_signs(summed) == (sign,)
    assert objective_names(OBJECTIVES) == ("accuracy", "bitops")
    assert objective_signs(OBJECTIVES) == (-1, 1)
