"""Which members of a front chance alone may have put there, on a search small enough to check by hand."""

from math import comb
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import narrower
from narrower.data.datasets import DataSet, Part
from narrower.plan.plan import plan_from_dict
from narrower.store.trial import Trial
from narrower.store.trials import TrialStore
from narrower.study import certainty
from narrower.study.api import SearchResult

DIRECTORY = Path("run")


@pytest.fixture(scope="module")
def data() -> DataSet:
    chance = torch.Generator().manual_seed(1)
    classes = torch.arange(900) % 3
    inputs = torch.randn(900, 6, generator=chance) + 0.8 * classes[:, None]
    parts = [Part(inputs[some], classes[some]) for some in (slice(0, 300), slice(300, 700), slice(700, 900))]
    return DataSet("blobs", *parts, ("a", "b", "c"))


@pytest.fixture(scope="module")
def model(data: DataSet) -> nn.Module:
    torch.manual_seed(2)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(data.train.inputs), data.train.targets).backward()
        optimizer.step()
    return model.eval()


def searched(model: nn.Module, data: DataSet, cost: str) -> tuple[SearchResult, list[Trial]]:
    space = {"0": {"data": [6], "weight": [2, 3, 4, 5, 6]}, "2": {"data": [6], "weight": [2, 3, 4, 6]}}
    found = narrower.search(model, data, space, ["accuracy", cost], directory=DIRECTORY)
    with TrialStore.open(DIRECTORY / "trials.db", read_only=True) as store:
        return found, list(store.trials())


@pytest.mark.parametrize("cost", ["bitops", "memory_density"])
def test_a_member_is_certain_when_it_beats_each_of_the_best_cheaper_plans(
    cost: str, model: nn.Module, data: DataSet
) -> None:
    """Also where a cost is better when it is larger."""
    sign = -1 if cost == "memory_density" else 1
    found, trials = searched(model, data, cost)
    plan_of = {member["number"]: plan_from_dict(member["plan"]) for member in found.front}
    outputs = _outputs(model, data, trials)
    seen = set()
    for member in found.front:
        assert member["number"] in plan_of
        own = sign * member[cost]
        cheaper = [t for t in trials if sign * t.metrics[cost] < own]
        rivals = sorted(cheaper, key=lambda t: -t.metrics["accuracy"])[:5]
        expected = all(_p_above(outputs[member["number"]], outputs[rival.number]) < 0.05 for rival in rivals)
        assert member["certain"] == expected
        seen.add(expected)
    assert seen == {True, False}


def _outputs(model: nn.Module, data: DataSet, trials: list[Trial]) -> dict[int, np.ndarray]:
    """Whether each trial's plan gets each sample right, from its own arithmetic."""
    space = [(first, second) for first in (2, 3, 4, 5, 6) for second in (2, 3, 4, 6)]
    linear = [module for module in model if isinstance(module, nn.Linear)]
    right = {}
    for trial in trials:
        x = data.validation.inputs
        for position, bits in enumerate(space[trial.plan_index]):
            rounded = _rounded(linear[position].weight.detach(), bits, bits // 2)
            x = _rounded(x, 6, 3) @ rounded.T + linear[position].bias.detach()
            x = torch.relu(x) if position == 0 else x
        right[trial.number] = (x.argmax(dim=1) == data.validation.targets).numpy()
        assert right[trial.number].mean() == pytest.approx(trial.metrics["accuracy"])
    return right


def _rounded(x: torch.Tensor, bits: int, frac: int) -> torch.Tensor:
    return torch.clamp(torch.round(x * 2**frac), -(2 ** (bits - 1)), 2 ** (bits - 1) - 1) / 2**frac


def _p_above(own: np.ndarray, rival: np.ndarray) -> float:
    wins, losses = int((own & ~rival).sum()), int((rival & ~own).sum())
    if wins <= losses:
        return 1.0
    count = wins + losses
    return 2 * sum(comb(count, k) for k in range(wins, count + 1)) / 2**count


def test_without_a_second_objective_there_is_nothing_to_be_certain_of(
    model: nn.Module, data: DataSet
) -> None:
    space = {"0": {"data": [6], "weight": [2, 4]}}
    found = narrower.search(model, data, space, ["accuracy"])
    assert [member["certain"] for member in found.front] == [None]


def test_a_plan_that_costs_the_same_is_no_rival() -> None:
    table = np.array([[0, 0.9, 10.0, 3.0], [1, 0.8, 10.0, 2.0], [2, 0.7, 8.0, 3.0], [3, 0.95, 11.0, 1.0]])
    member = Trial(0, 0, "complete", {"accuracy": 0.9, "a": 10.0, "b": 3.0}, None, 0.0, 0.0)
    rivals = certainty._rivals(member, table, ["a", "b"], np.array([1, 1]), 1)
    assert rivals == [1, 2]  # the most accurate first; 0 is the member itself, 3 costs more


def test_of_errors_the_smallest_are_the_strongest_rivals() -> None:
    errors = [0.5, 0.3, 0.9, 0.2, 0.7, 0.4, 0.6, 0.1]
    table = np.array([[number, error, 5.0] for number, error in enumerate(errors)] + [[8, 0.05, 20.0]])
    member = Trial(9, 9, "complete", {"mse": 0.01, "a": 10.0}, None, 0.0, 0.0)
    assert certainty._rivals(member, table, ["a"], np.array([1]), -1) == [7, 3, 1, 5, 0]


def test_the_rank_correlation_of_loss_and_accuracy_is_spearmans(model: nn.Module, data: DataSet) -> None:
    space = {"0": {"data": [6], "weight": [2, 3, 4, 5, 6]}, "2": {"data": [6], "weight": [2, 3, 4, 6]}}
    found = narrower.search(model, data, space, ["loss", "accuracy", "bitops"], directory=DIRECTORY)
    with TrialStore.open(DIRECTORY / "trials.db", read_only=True) as store:
        trials = list(store.trials())
    ranks = [_ranks([t.metrics[name] for t in trials]) for name in ("loss", "accuracy")]
    expected = np.corrcoef(*ranks)[0, 1]
    assert found.record.summary.loss_rank_correlation == pytest.approx(expected)
    assert abs(expected) > 0.3


def _ranks(values: list[float]) -> list[float]:
    """Mean ranks: how many are smaller, and half of those that are equal."""
    return [sum(v < value for v in values) + sum(v == value for v in values) / 2 for value in values]
