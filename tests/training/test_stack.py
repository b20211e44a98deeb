"""Training in number formats: one candidate as its rounded module, and many at once as each alone."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from narrower.data.parts import Part
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.formats.text import parse_format
from narrower.plan.plan import LayerPlan, Plan
from narrower.tasks.classification.task import CLASSIFICATION
from narrower.tasks.task import Ending, Loss
from narrower.training.core import Core
from narrower.training.losses import Losses
from narrower.training.recipe import Recipe
from narrower.training.rounding import formats_of
from narrower.training.stack import Stack, can_stack
from narrower.transform.quantized import original_weights, quantized

SCORES = CLASSIFICATION.loss(Ending())
ONE_STEP = Recipe(max_epochs=1, batch_size=64, learning_rate=0.01, max_steps=1)


class Residual(nn.Module):
    """Two branches, a convolution, a layer that is called twice, and an argument that is written to."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(1, 4, 3, padding=1)
        self.norm = nn.BatchNorm1d(4)
        self.second = nn.Conv1d(4, 4, 3, padding=1)
        self.last = nn.Linear(24, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.first(x[:, None])))
        x = F.relu(self.second(x) + x)
        x = F.relu(self.second(x) + x)
        out: Tensor = self.last(x.flatten(1))
        return out


def chain() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))


MODELS = {"chain": (chain, ("0", "3")), "residual": (Residual, ("first", "second", "last"))}


@pytest.fixture(scope="module")
def part() -> Part:
    chance = torch.Generator().manual_seed(3)
    classes = torch.arange(192) % 3
    return Part(torch.randn(192, 6, generator=chance) + classes[:, None], classes)


def made(name: str, seed: int = 1) -> nn.Module:
    torch.manual_seed(seed)
    return MODELS[name][0]()


def plans(name: str) -> list[Plan]:
    """Widths, fractions, signs and families that differ from candidate to candidate."""
    layers = MODELS[name][1]
    of_data: list[NumberFormat] = [
        FixedPoint(6, 3),
        FixedPoint(8, 3),
        FLOAT32,
        FixedPoint(5, 2, signed=False),
    ]
    of_weights = [FixedPoint(2, 1), FixedPoint(4, 3), FixedPoint(8, 6), FLOAT32]
    return [
        Plan.of(
            {
                layers[0]: LayerPlan(data, weight, FixedPoint(8, 4)),
                layers[-1]: LayerPlan(weight=of_weights[0]),
            }
        )
        for data, weight in zip(of_data, of_weights, strict=True)
    ]


def alone(model: nn.Module, part: Part, recipe: Recipe, plan: Plan, **others: Any) -> nn.Module:
    core = Core(model, part, recipe, Losses(recipe, SCORES), formats=formats_of(model, plan), **others)
    while not core.ended:
        core.epoch()
    core.finish()
    return model


def together(
    models: Sequence[nn.Module], part: Part, recipe: Recipe, every: Sequence[Plan], **others: Any
) -> Sequence[nn.Module]:
    formats = [formats_of(model, plan) for model, plan in zip(models, every, strict=True)]
    assert can_stack(models, formats)
    core = Core(Stack(models, formats, part.inputs[:2]), part, recipe, Losses(recipe, SCORES), **others)
    while not core.ended:
        core.epoch()
    core.finish()
    return models


@pytest.mark.parametrize(
    "text",
    ["fixed(4,frac=2)", "ufixed(3,frac=2,rounding=floor)", "fixed(3,frac=1,rounding=half_up)", "e4m3fn",
     "fixed(4,frac=3,overflow=wrap)"],
)  # fmt: skip
def test_a_step_is_that_of_the_rounded_module(text: str, part: Part) -> None:
    """``quantized`` rounds parameter by parameter within the graph; here they are rounded as one vector."""
    number_format = parse_format(text)
    plan = Plan.of(
        {"0": LayerPlan(number_format, number_format, number_format), "3": LayerPlan(weight=number_format)}
    )
    rounded = quantized(made("chain"), plan).train()
    optimizer = torch.optim.Adam(rounded.parameters(), lr=ONE_STEP.learning_rate)
    order = torch.randperm(len(part), generator=torch.Generator().manual_seed(ONE_STEP.seed))[:64]
    F.cross_entropy(rounded(part.inputs[order]), part.targets[order]).backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    wanted = original_weights(made("chain"), rounded)
    found = alone(made("chain"), part, ONE_STEP, plan)
    for name in ("0.weight", "1.weight", "1.bias", "3.weight", "3.bias", "1.running_mean"):  # 0.bias: noise
        torch.testing.assert_close(found.state_dict()[name], wanted.state_dict()[name], rtol=0, atol=1e-6)
    assert not any(module._forward_pre_hooks for module in found.modules())


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    "change",
    [{}, {"optimizer": "sgd", "clip_norm": 0.3},
     {"optimizer": "adamw", "weight_decay": 0.3, "decay_all": False},
     {"label_smoothing": 0.2, "average": 0.5}],
)  # fmt: skip
def test_candidates_together_are_each_alone_after_one_step(
    name: str, change: dict[str, Any], part: Part
) -> None:
    recipe = replace(ONE_STEP, **change)
    models = together([made(name, seed) for seed in range(4)], part, recipe, plans(name))
    for seed, plan in enumerate(plans(name)):
        wanted = alone(made(name, seed), part, recipe, plan).state_dict()
        for key, tensor in models[seed].state_dict().items():
            if key not in ("0.bias", "first.bias"):  # in front of a batch norm: its gradient is noise
                torch.testing.assert_close(tensor, wanted[key], rtol=0, atol=2e-6)


def test_they_learn_as_well_as_alone_and_choose_their_own_epochs(part: Part) -> None:
    recipe = Recipe(max_epochs=12, batch_size=32, learning_rate=0.02, patience=3, schedule="constant")
    some, choosing = part.first(128), part.between(128, 192)
    models = together([made("chain") for _ in range(4)], some, recipe, plans("chain"), choosing=choosing)
    losses = Losses(recipe, SCORES)
    for model, plan in zip(models, plans("chain"), strict=True):
        wanted = alone(made("chain"), some, recipe, plan, choosing=choosing)
        with torch.no_grad():
            values = [
                float(losses.of_plain(quantized(each, plan).eval()(choosing.inputs), choosing.targets))
                for each in (model, wanted)
            ]
        assert values[0] == pytest.approx(values[1], rel=0.02)


def test_a_teacher_is_shared(part: Part) -> None:
    recipe = replace(ONE_STEP, distillation=0.5)
    teacher = made("chain", 9)
    models = together([made("chain"), made("chain")], part, recipe, plans("chain")[:2], teacher=teacher)
    for model, plan in zip(models, plans("chain"), strict=False):
        wanted = alone(made("chain"), part, recipe, plan, teacher=teacher)
        torch.testing.assert_close(
            model.state_dict()["3.weight"], wanted.state_dict()["3.weight"], rtol=0, atol=2e-6
        )


def test_what_goes_wrong_in_one_candidate_does_not_touch_the_others(part: Part) -> None:
    recipe = replace(ONE_STEP, max_steps=3)
    models = [made("chain") for _ in range(2)]
    with torch.no_grad():
        models[1].get_parameter("3.weight").fill_(float("nan"))
    formats = [formats_of(model, plan) for model, plan in zip(models, plans("chain")[:2], strict=True)]
    core = Core(Stack(models, formats, part.inputs[:2]), part, recipe, Losses(recipe, SCORES))
    while not core.ended:
        core.epoch()
    core.finish()
    assert core.finite.tolist() == [True, False]
    wanted = alone(made("chain"), part, recipe, plans("chain")[0]).state_dict()
    torch.testing.assert_close(models[0].state_dict()["3.weight"], wanted["3.weight"], rtol=0, atol=1e-5)


def test_outputs_of_three_dimensions_are_those_of_one_model() -> None:
    """As of networks that give a row of scores for each token."""

    def of_samples(outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs - targets).square().mean(dim=(1, 2))

    class Rows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last = nn.Linear(2, 4)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.last(x.unflatten(1, (3, 2)))
            return out

    chance = torch.Generator().manual_seed(3)
    some = Part(torch.randn(64, 6, generator=chance), torch.randn(64, 3, 4, generator=chance))
    losses = Losses(ONE_STEP, Loss("squares", of_samples))
    states = []
    for stacked in (False, True):
        torch.manual_seed(0)
        models: list[nn.Module] = [Rows(), Rows()]
        plan = Plan.of({"last": LayerPlan(weight=FixedPoint(4, 3))})
        formats = [formats_of(model, plan) for model in models]
        each = [Stack(models, formats, some.inputs[:2])] if stacked else models
        for model in each:
            core = Core(model, some, ONE_STEP, losses, formats=None if stacked else formats[0])
            core.epoch()
            core.finish()
        states.append([model.state_dict()["last.weight"] for model in models])
    for one, other in zip(*states, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


def test_other_families_and_other_shapes_are_not_stacked() -> None:
    models = [made("chain"), made("chain")]
    wide = [made("chain"), nn.Sequential(nn.Linear(6, 9), nn.BatchNorm1d(9), nn.ReLU(), nn.Linear(9, 3))]
    small = Plan.of({"0": LayerPlan(weight=parse_format("e4m3fn"))})
    wraps = Plan.of({"0": LayerPlan(data=FixedPoint(4, 2, overflow="wrap"))})
    fixed = plans("chain")[0]
    for plan, wanted in ((small, False), (wraps, False), (fixed, True)):
        assert can_stack(models, [formats_of(models[0], plan), formats_of(models[1], fixed)]) == wanted
    assert not can_stack(wide, [formats_of(model, fixed) for model in wide])
