"""Intervals and comparisons that count chance of training as well as chance of samples."""

from math import sqrt

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from narrower.tasks.classification.task import CLASSIFICATION
from narrower.tasks.intervals import value_of, wilson_interval
from narrower.tasks.reconstruction.anomalies import ANOMALIES
from narrower.tasks.regression.task import REGRESSION
from narrower.tasks.spread import interval_of_trainings, leads, spread
from narrower.tasks.task import leading

ACCURACY = leading(CLASSIFICATION)
ERROR = leading(REGRESSION)
AREA = leading(ANOMALIES)


def hits(chance: np.random.Generator, shares: list[float], count: int = 400) -> np.ndarray:
    return np.stack([chance.random(count) < share for share in shares])


def test_one_training_has_the_interval_of_its_samples() -> None:
    own = hits(np.random.default_rng(0), [0.8])
    assert interval_of_trainings(ACCURACY, own) == wilson_interval(int(own.sum()), 400)


def test_the_spread_of_three_trainings_widens_the_interval_by_hand() -> None:
    own = np.zeros((3, 100), dtype=bool)
    for row, right in enumerate((78, 80, 82)):
        own[row, :right] = True
    assert spread(ACCURACY, own) == pytest.approx(0.02)
    low, high = wilson_interval(80, 100)
    chance = 4.302652729911275 * 0.02 / sqrt(3)  # Student's t with two degrees of freedom, from a table
    wanted = (0.8 - sqrt((0.8 - low) ** 2 + chance**2), 0.8 + sqrt((high - 0.8) ** 2 + chance**2))
    assert interval_of_trainings(ACCURACY, own) == pytest.approx(wanted)


def test_the_interval_of_a_share_ends_at_zero_and_one() -> None:
    own = np.zeros((2, 10), dtype=bool)
    own[0, 0] = True  # Wilson's ends and Student's t with one degree of freedom reach far beyond
    assert interval_of_trainings(ACCURACY, own)[0] == 0.0
    assert interval_of_trainings(ACCURACY, ~own)[1] == 1.0


def test_the_interval_holds_the_true_value_about_as_often_as_it_says() -> None:
    chance, held = np.random.default_rng(1), 0
    for _ in range(150):
        shares = (0.7 + 0.03 * chance.standard_normal(3)).tolist()
        low, high = interval_of_trainings(ACCURACY, hits(chance, shares))
        held += low <= 0.7 <= high
    assert 0.93 <= held / 150 <= 1.0


def test_a_gain_within_the_spread_of_training_is_not_certain() -> None:
    """Samples alone would call every one of these pairs different: there are ten thousand."""
    chance = np.random.default_rng(2)
    wrong = sum(
        leads(
            ACCURACY,
            hits(chance, (0.7 + 0.02 * chance.standard_normal(3)).tolist(), 10_000),
            hits(chance, (0.7 + 0.02 * chance.standard_normal(3)).tolist(), 10_000),
        )
        for _ in range(200)
    )
    assert wrong / 200 <= 0.05
    assert leads(ACCURACY, hits(chance, [0.8, 0.801, 0.802], 4000), hits(chance, [0.7, 0.701, 0.699], 4000))
    assert not leads(
        ACCURACY, hits(chance, [0.7, 0.701, 0.699], 4000), hits(chance, [0.8, 0.801, 0.802], 4000)
    )


def test_errors_are_better_when_they_are_smaller() -> None:
    chance = np.random.default_rng(3)
    columns = np.asarray(ERROR.contributions(*_outputs(chance, 0.1)))
    worse = np.asarray(ERROR.contributions(*_outputs(chance, 0.5)))
    small, large = np.stack([columns, columns * 1.01]), np.stack([worse, worse * 1.01])
    assert leads(ERROR, small, large) == (
        ERROR.sign * (value_of(ERROR, columns) - value_of(ERROR, worse)) > 0
    )
    assert not (leads(ERROR, small, large) and leads(ERROR, large, small))
    low, high = interval_of_trainings(ERROR, small)
    assert low < value_of(ERROR, columns) < high


def _outputs(chance: np.random.Generator, noise: float) -> tuple[torch.Tensor, torch.Tensor]:
    targets = torch.tensor(chance.standard_normal((300, 1)), dtype=torch.float32)
    return targets + noise * torch.tensor(chance.standard_normal((300, 1)), dtype=torch.float32), targets


def test_errors_of_two_trainings_have_the_mean_of_their_bootstraps_by_standard_errors() -> None:
    """The error on the same 4,000 samples, larger by a half after the second training."""
    first = np.abs(np.random.default_rng(5).normal(size=(4000,)))
    own = np.stack([first, 1.5 * first])
    values = [value_of(ERROR, one) for one in own]
    assert values[1] == pytest.approx(1.5 * values[0])
    low, high = interval_of_trainings(ERROR, own)
    mean, error = 1.25 * values[0], 1.25 * float(first.std()) / sqrt(4000)
    training = (
        12.706204736432095 * 0.5 * values[0] / 2
    )  # Student's t with one degree of freedom, from a table
    reach = sqrt((1.959963984540054 * error) ** 2 + training**2)
    assert (low, high) == pytest.approx((mean - reach, mean + reach), rel=0.01)


def test_the_area_under_a_curve_is_that_of_scikit_learn_for_each_training() -> None:
    chance = np.random.default_rng(6)
    labels = chance.integers(0, 2, 300)
    own = np.stack([np.stack([chance.normal(size=300) + by * labels, labels], axis=1) for by in (0.5, 1.0)])
    expected = [roc_auc_score(labels, one[:, 0]) for one in own]
    assert [value_of(AREA, one) for one in own] == pytest.approx(expected)
    low, high = interval_of_trainings(AREA, own)
    assert low < np.mean(expected) < high


def test_chance_of_samples_is_that_of_the_mean_of_trainings() -> None:
    """Two trainings whose errors are the same numbers on other samples: no spread, and half the variance."""
    chance = np.random.default_rng(7)
    first = np.abs(chance.normal(size=(4000,)))
    own = np.stack([first, chance.permutation(first)])
    assert spread(ERROR, own) == pytest.approx(0.0, abs=1e-12)
    mean, error = float(first.mean()), float(np.std(own.mean(axis=0))) / sqrt(4000)
    reach = 1.959963984540054 * error
    low, high = interval_of_trainings(ERROR, own)
    assert (mean - low, high - mean) == pytest.approx((reach, reach), rel=0.1)
