"""Several trainings of one plan make one quality."""

import statistics

import pytest

from narrower.plan import Plan
from narrower.preparation.preparation import Prepared
from narrower.quality import Quality, failed
from narrower.study.scorer import combined

SEEDS = [
    Quality(50, 100, 1.5, own=(("m:f", 2.0),)),
    Quality(70, 100, 0.5, own=(("m:f", 4.0),)),
    Quality(60, 100, 1.0, own=(("m:f", 9.0),)),
]


def prepared(keep: str) -> Prepared:
    return Prepared((Plan(),), (), keep=keep)  # type: ignore[arg-type]


def test_the_mean_of_seeds() -> None:
    mean = combined(prepared("mean"), SEEDS)
    assert mean.accuracy == pytest.approx((0.5 + 0.7 + 0.6) / 3)
    assert mean.samples == 300  # its interval is that of all predictions
    assert mean.loss == pytest.approx(1.0)
    assert dict(mean.own) == {"m:f": pytest.approx(5.0)}
    assert mean.spread == pytest.approx(statistics.stdev([0.5, 0.7, 0.6]))


def test_the_best_of_seeds() -> None:
    best = combined(prepared("best"), SEEDS)
    assert (best.correct, best.samples, best.loss, best.own) == (70, 100, 0.5, (("m:f", 4.0),))
    assert best.spread == pytest.approx(statistics.stdev([0.5, 0.7, 0.6]))


def test_one_seed_is_passed_on_and_a_failure_of_one_is_that_of_the_plan() -> None:
    assert combined(prepared("mean"), SEEDS[:1]) == SEEDS[0]
    found = combined(prepared("mean"), [SEEDS[0], failed("the loss is no number", 100)])
    assert (found.failure, found.samples) == ("the loss is no number", 100)
