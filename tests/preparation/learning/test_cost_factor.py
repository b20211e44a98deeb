"""The factor of the cost: given, found from gradients, or steered."""

from dataclasses import replace

import pytest
import torch

from narrower.data.datasets import DataSet
from narrower.errors import SettingsError
from narrower.preparation.learning.cost_factor import FIRST, LAST, CostFactor
from narrower.preparation.learning.learn import targets_of
from narrower.preparation.learning.settings import LearnSettings
from narrower.preparation.learning.training import Training

SETTINGS = LearnSettings(epochs=10, warm_share=0.2)


def test_a_given_factor_grows_log_linearly_after_the_warm_share() -> None:
    factor = CostFactor(replace(SETTINGS, first_factor=1e-6, last_factor=1e-2), 100)
    assert not factor.needs_balance
    assert factor.of(10) == 0
    assert factor.of(20) == pytest.approx(1e-6)
    assert factor.of(60) == pytest.approx(1e-4)
    assert factor.of(100) == pytest.approx(1e-2)


def test_factors_that_are_not_given_lie_around_where_the_gradients_balance() -> None:
    factor = CostFactor(SETTINGS, 100)
    assert factor.needs_balance
    assert factor.of(99) == 0  # nothing is known yet
    factor.balance(6e-6)
    assert factor.of(20) == pytest.approx(FIRST * 6e-6)
    assert factor.of(100) == pytest.approx(LAST * 6e-6)
    one = CostFactor(replace(SETTINGS, last_factor=1e-7), 100)
    one.balance(6e-6)
    assert one.of(100) == pytest.approx(FIRST * 6e-6)  # never falls


def test_steering_raises_the_factor_above_the_target_and_lowers_it_below() -> None:
    factor = CostFactor(replace(SETTINGS, first_factor=1e-6, last_factor=1e-2, target=500.0), 100)
    factor.steer(5000.0, 29, 1.0)
    first = factor.of(30)
    assert first > 1e-6
    factor.steer(500.0, 39, 1.0)
    assert 1e-6 < factor.of(40) < first
    factor.steer(50.0, 49, 1.0)
    assert factor.of(50) < 1e-6
    other = CostFactor(replace(SETTINGS, target=500.0), 100)
    other.restore(factor.state)
    assert other.of(50) == factor.of(50)


def test_a_steered_training_comes_to_its_target(jets: DataSet) -> None:
    train, validation = jets.train.first(3000), jets.validation.first(500)
    settings = LearnSettings(epochs=120, batch_size=256, cycles=4, soft_share=0.0, target=400.0)
    training = Training([(16, 6, 5)], train, targets_of(train, 5, settings), validation, settings, (0,))
    with torch.no_grad():
        training.run()
    training.network.round(training.parameters)
    assert 300 < float(training.network.cost()[0]) < 530


def test_where_gradients_balance_neither_pulls_harder(jets: DataSet) -> None:
    """By autograd of both, over all batches."""
    train = jets.train.first(1024)
    settings = LearnSettings(epochs=50, batch_size=256, soft_share=0.0)
    training = Training([(16, 6, 5)], train, targets_of(train, 5, settings), train, settings, (0,))
    with torch.no_grad():
        for epoch in range(3):
            training.train_epoch(epoch)
    state = training.cost_factor.state
    assert state["first"] is not None
    assert state["last"] == pytest.approx(LAST / FIRST * state["first"])
    assert 1e-8 < state["first"] < 1e-4


def test_factors_that_fall_are_refused() -> None:
    with pytest.raises(SettingsError, match="last_factor: expected at least first_factor"):
        LearnSettings(first_factor=1e-3, last_factor=1e-4)
    with pytest.raises(SettingsError, match="target: expected a number above 0"):
        LearnSettings(target=0.0)
