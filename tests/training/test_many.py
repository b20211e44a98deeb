"""Models that are trained in the formats of their plans, each alone or all together."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from narrower.data.parts import Part
from narrower.errors import NarrowerError
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.formats.text import parse_format
from narrower.plan.plan import LayerPlan, Plan
from narrower.training.many import is_together, train_all, train_in_formats
from narrower.training.recipe import Recipe

RECIPE = Recipe(max_epochs=2, batch_size=32, learning_rate=0.01)
PLANS = [Plan.of({"0": LayerPlan(FixedPoint(w, 2), FixedPoint(w, w - 1))}) for w in (3, 4, 6)]


@pytest.fixture(scope="module")
def part() -> Part:
    chance = torch.Generator().manual_seed(3)
    classes = torch.arange(192) % 3
    return Part(torch.randn(192, 6, generator=chance) + classes[:, None], classes)


def made() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))


def close(one: nn.Module | str, other: nn.Module | str) -> None:
    assert isinstance(one, nn.Module)
    assert isinstance(other, nn.Module)
    for name, tensor in one.state_dict().items():
        torch.testing.assert_close(tensor, other.state_dict()[name], rtol=0, atol=1e-4)


@pytest.mark.parametrize("change", [{}, {"optimizer": "muon"}, {"schedule": "plateau"}, {"patience": 1}])
def test_all_are_each_alone(change: dict[str, object], part: Part) -> None:
    recipe = replace(RECIPE, **change)
    assert is_together(recipe) == (not set(change) & {"optimizer", "schedule"})
    for plan, trained in zip(PLANS, train_all([made()] * 3, PLANS, part, recipe), strict=True):
        close(trained, train_in_formats(made(), plan, part, recipe))


def test_families_that_are_not_stacked_are_trained_one_at_a_time(part: Part) -> None:
    plans = [PLANS[0], Plan.of({"0": LayerPlan(weight=parse_format("e4m3fn"))})]
    for plan, trained in zip(plans, train_all([made()] * 2, plans, part, RECIPE), strict=True):
        close(trained, train_in_formats(made(), plan, part, RECIPE))


def test_a_plan_that_cannot_be_rounded_says_why_and_the_others_are_trained(part: Part) -> None:
    found = train_all(
        [made()] * 2, [PLANS[0], Plan.of({"1": LayerPlan(weight=FixedPoint(4, 2))})], part, RECIPE
    )
    assert isinstance(found[0], nn.Module)
    assert "ReLU computes its products inside" in str(found[1])
    lost = train_all([made()] * 2, PLANS[:2], part, replace(RECIPE, learning_rate=1e30, optimizer="sgd"))
    assert all("the loss is no number" in str(each) for each in lost)
    with pytest.raises(NarrowerError, match="the loss became"):
        train_in_formats(made(), PLANS[0], part, replace(RECIPE, learning_rate=1e30, optimizer="sgd"))


def test_computed_and_shared_weights_are_rounded_where_they_are_used(part: Part) -> None:
    normed = nn.Sequential(parametrizations.weight_norm(nn.Linear(6, 8)), nn.ReLU(), nn.Linear(8, 3))
    tied = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6))
    tied[2].weight = tied[0].weight
    for model in (normed, tied):
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        trained = train_in_formats(model, PLANS[0], part, RECIPE)
        assert trained.state_dict().keys() == before.keys()
        assert any(not torch.equal(tensor, before[name]) for name, tensor in trained.state_dict().items())
        assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
