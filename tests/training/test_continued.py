"""Candidates that stop, change their stack, and go on."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from narrower.data.parts import Part
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan
from narrower.tasks.classification.task import CLASSIFICATION
from narrower.tasks.task import Ending
from narrower.training.continued import candidate_states, go_on_from
from narrower.training.core import Core
from narrower.training.losses import Losses
from narrower.training.recipe import Recipe
from narrower.training.rounding import formats_of
from narrower.training.stack import Stack

RECIPE = Recipe(max_epochs=4, batch_size=32, learning_rate=0.01)
PLANS = [Plan.of({"0": LayerPlan(FixedPoint(w, 2), FixedPoint(w, w - 1))}) for w in (3, 4, 6, 8)]


@pytest.fixture(scope="module")
def part() -> Part:
    chance = torch.Generator().manual_seed(3)
    classes = torch.arange(180) % 3  # six batches, the last of twenty samples
    return Part(torch.randn(180, 6, generator=chance) + classes[:, None], classes)


def made() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))


def begun(recipe: Recipe, part: Part, plans: list[Plan]) -> tuple[Core, list[nn.Module]]:
    models = [made() for _ in plans]
    formats = [formats_of(model, plan) for model, plan in zip(models, plans, strict=True)]
    stack = Stack(models, [each for each in formats if each is not None], part.inputs[:2])
    return Core(stack, part, recipe, Losses(recipe, CLASSIFICATION.loss(Ending()))), models


def run(core: Core, stop: int | None = None) -> None:
    core.stop = core.steps if stop is None else stop
    while not core.ended:
        core.epoch()


@pytest.mark.parametrize("stop", [1, 6, 9, 18])  # in the middle of an epoch, and at its end
@pytest.mark.parametrize(
    "change",
    [
        {},
        {"optimizer": "sgd"},
        {"optimizer": "adamw", "weight_decay": 0.1, "decay_all": False, "average": 0.9},
    ],
)
def test_survivors_go_on_as_if_nobody_had_left(stop: int, change: dict[str, Any], part: Part) -> None:
    recipe = replace(RECIPE, **change)
    whole, wanted = begun(recipe, part, PLANS)
    run(whole)
    whole.finish()
    core, _ = begun(recipe, part, PLANS)
    run(core, stop)
    assert core.step == stop
    states = candidate_states(core)
    survivors = [2, 0]
    again, found = begun(recipe, part, [PLANS[number] for number in survivors])
    go_on_from(again, [states[number] for number in survivors])
    assert again.step == stop
    run(again)
    again.finish()
    for model, number in zip(found, survivors, strict=True):
        for name, tensor in wanted[number].state_dict().items():
            if name not in ("0.bias", "1.running_mean"):  # the gradient in front of a norm is noise
                torch.testing.assert_close(model.state_dict()[name], tensor, rtol=0, atol=1e-5)
