"""Several trainings of one plan make one quality."""

import statistics

import pytest

from narrower.plan.plan import Plan
from narrower.preparation.preparation import Prepared
from narrower.study.scoring import combined
from narrower.tasks.classification.task import CLASSIFICATION
from narrower.tasks.quality import Quality, failed

SEEDS = [
    Quality(100, {"accuracy": 0.5, "loss": 1.5, "m:f": 2.0}),
    Quality(100, {"accuracy": 0.7, "loss": 0.5, "m:f": 4.0}),
    Quality(100, {"accuracy": 0.6, "loss": 1.0, "m:f": 9.0}),
]


def prepared(keep: str) -> Prepared:
    return Prepared((Plan(),), (), keep=keep)  # type: ignore[arg-type]


def test_the_mean_of_seeds() -> None:
    mean = combined(CLASSIFICATION, prepared("mean"), SEEDS)
    assert mean.metrics["accuracy"] == pytest.approx((0.5 + 0.7 + 0.6) / 3)
    assert mean.samples == 300  # its interval is that of all predictions
    assert mean.metrics["loss"] == pytest.approx(1.0)
    assert mean.metrics["m:f"] == pytest.approx(5.0)
    assert mean.metrics["accuracy_spread"] == pytest.approx(statistics.stdev([0.5, 0.7, 0.6]))


def test_the_best_of_seeds() -> None:
    best = combined(CLASSIFICATION, prepared("best"), SEEDS)
    spread = pytest.approx(statistics.stdev([0.5, 0.7, 0.6]))
    assert best == Quality(100, {"accuracy": 0.7, "loss": 0.5, "m:f": 4.0, "accuracy_spread": spread})


def test_one_seed_is_passed_on_and_a_failure_of_one_is_that_of_the_plan() -> None:
    assert combined(CLASSIFICATION, prepared("mean"), SEEDS[:1]) == SEEDS[0]
    found = combined(CLASSIFICATION, prepared("mean"), [SEEDS[0], failed("the loss is no number", 100)])
    assert (found.failure, found.samples) == ("the loss is no number", 100)
