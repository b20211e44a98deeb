"""What the fields of a recipe do, computed another way."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from narrower.data.parts import Part
from narrower.errors import SettingsError
from narrower.tasks.classification.task import CLASSIFICATION
from narrower.tasks.task import Ending
from narrower.training.core import Core
from narrower.training.losses import Losses
from narrower.training.one_model import train_weights
from narrower.training.rates import Plateau, rate_share
from narrower.training.recipe import Recipe

SCORES = CLASSIFICATION.loss(Ending())

STEPS = 20
ONE_STEP = Recipe(
    max_epochs=1, batch_size=1000, learning_rate=0.1, schedule="constant", optimizer="sgd", momentum=0.0
)


@pytest.fixture
def part() -> Part:
    chance = torch.Generator().manual_seed(3)
    return Part(torch.randn(90, 4, generator=chance), torch.arange(90) % 3)


def small() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3))


@pytest.mark.parametrize(
    ("recipe", "by_hand"),
    [
        (Recipe(schedule="constant"), lambda _: 1.0),
        (Recipe(), lambda t: 0.5 * (1 + math.cos(math.pi * t / STEPS))),
        (Recipe(schedule="linear"), lambda t: 1 - t / STEPS),
        (
            Recipe(schedule="cosine_restarts", cycles=4),  # cycles of 5 steps
            lambda t: 0.5 * (1 + math.cos(math.pi * (t % 5) / 5)),
        ),
        (Recipe(schedule="linear", warmup_steps=4), lambda t: (1 - t / STEPS) * min(1, (t + 1) / 5)),
    ],
)  # fmt: skip
def test_schedules_by_hand(recipe: Recipe, by_hand: Any) -> None:
    for step in range(STEPS):
        assert rate_share(recipe, step, STEPS) == pytest.approx(by_hand(step))


def test_one_cycle_rises_for_three_tenths_and_falls_to_nearly_nothing() -> None:
    shares = [rate_share(Recipe(schedule="one_cycle"), step, 1000) for step in range(1000)]
    assert shares[0] == pytest.approx(1 / 25)
    assert shares.index(max(shares)) == 300
    assert max(shares) == pytest.approx(1)
    assert shares[:301] == sorted(shares[:301])
    assert shares[300:] == sorted(shares[300:], reverse=True)
    assert shares[-1] < 1e-4


def test_plateau_halves_after_three_epochs_without_a_lower_loss() -> None:
    plateau = Plateau()
    shares = []
    for loss in (3.0, 2.0, 2.0, 2.5, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0):
        plateau.see(loss)
        shares.append(plateau.share)
    assert shares == [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25]


def after_one_step(recipe: Recipe, part: Part, **others: Any) -> dict[str, torch.Tensor]:
    model = small()
    core = Core(model, part, recipe, Losses(recipe, SCORES), **others)
    core.epoch()
    core.finish()
    return model.state_dict()


def gradients(part: Part, loss: Any) -> tuple[nn.Module, dict[str, torch.Tensor]]:
    model = small().train()
    loss(model(part.inputs), part.targets).backward()
    return model, {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def expect(found: dict[str, torch.Tensor], model: nn.Module, change: dict[str, torch.Tensor]) -> None:
    for name, parameter in model.named_parameters():
        wanted = parameter.detach() - ONE_STEP.learning_rate * change[name]
        torch.testing.assert_close(found[name], wanted, rtol=1e-4, atol=1e-6)


def test_label_smoothing_and_decay_of_matrices_alone(part: Part) -> None:
    def smoothed(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        spread = 0.7 * F.one_hot(targets, 3) + 0.3 / 3
        return -(spread * outputs.log_softmax(dim=1)).sum(dim=1).mean()

    model, grads = gradients(part, smoothed)
    recipe = replace(ONE_STEP, label_smoothing=0.3, weight_decay=0.5, decay_all=False)
    decayed = {
        name: grads[name] + (0.5 * p.detach() if p.dim() == 2 else 0) for name, p in model.named_parameters()
    }
    expect(after_one_step(recipe, part), model, decayed)


def test_a_gradient_is_clipped_as_a_whole(part: Part) -> None:
    model, grads = gradients(part, F.cross_entropy)
    norm = math.sqrt(sum(float(g.square().sum()) for g in grads.values()))
    recipe = replace(ONE_STEP, clip_norm=norm / 4)
    expect(after_one_step(recipe, part), model, {name: g / 4 for name, g in grads.items()})


def test_distillation_pulls_towards_the_teachers_probabilities(part: Part) -> None:
    teacher = nn.Linear(4, 3)
    with torch.no_grad():
        taught = (teacher(part.inputs) / 3).softmax(dim=1)

    def distilled(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        soft = (taught * (taught.log() - (outputs / 3).log_softmax(dim=1))).sum(dim=1).mean()
        return 0.25 * F.cross_entropy(outputs, targets) + 0.75 * 9 * soft

    model, grads = gradients(part, distilled)
    recipe = replace(ONE_STEP, distillation=0.75, temperature=3.0)
    expect(after_one_step(recipe, part, teacher=teacher), model, grads)


def test_the_average_of_weights_is_that_of_every_step(part: Part) -> None:
    recipe = replace(ONE_STEP, max_epochs=4, average=0.5)
    plain, held = small(), []
    core = Core(plain, part, replace(recipe, average=0.0), Losses(recipe, SCORES))
    average = core.weights[0].exact.clone()
    for step in range(1, 5):
        core.epoch()
        share = min(0.5, (1 + step) / (10 + step))
        average = share * average + (1 - share) * core.weights[0].exact
        held.append(core.weights[0].exact.clone())
    averaged = Core(small(), part, recipe, Losses(recipe, SCORES))
    while not averaged.ended:
        averaged.epoch()
    averaged.finish()
    torch.testing.assert_close(averaged.weights[0].exact, average)
    assert not torch.allclose(average, held[-1])


def test_norms_keep_their_statistics_after_some_epochs(part: Part) -> None:
    recipe = replace(ONE_STEP, max_epochs=3, freeze_norms_after=1)
    model = small()
    core = Core(model, part, recipe, Losses(recipe, SCORES))
    seen = []
    for _ in range(3):
        core.epoch()
        seen.append(model.state_dict()["1.running_mean"].clone())
    assert not torch.equal(seen[0], torch.zeros(6))
    assert torch.equal(seen[0], seen[1])
    assert torch.equal(seen[1], seen[2])


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", "muon"])
def test_every_optimizer_lowers_the_loss(optimizer: str, part: Part) -> None:
    recipe = Recipe(max_epochs=30, batch_size=30, learning_rate=0.02, optimizer=optimizer)
    losses = Losses(recipe, SCORES)
    trained = train_weights(small(), part, recipe)
    with torch.no_grad():
        before, after = (
            float(losses.of_plain(model(part.inputs), part.targets)) for model in (small().eval(), trained)
        )
    assert after < 0.95 * before


def test_steps_end_a_training(part: Part) -> None:
    recipe = replace(ONE_STEP, batch_size=30, max_epochs=10, max_steps=4)
    core = Core(small(), part, recipe, Losses(recipe, SCORES))
    while not core.ended:
        core.epoch()
    assert (core.step, core.epochs) == (4, 2)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("optimizer", "adan"), ("schedule", "cosinus"), ("momentum", 1.0), ("average", -0.1),
        ("clip_norm", -1.0), ("cycles", 0),
        ("distillation", 1.1), ("temperature", 0.0), ("choosing_share", 0.0), ("max_steps", -1),
        ("learning_rate", math.nan), ("label_smoothing", 1.0), ("weight_decay", math.inf),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named_with_what_is_allowed(field: str, value: Any) -> None:
    with pytest.raises(SettingsError, match=rf"{field}: expected .*, found"):
        Recipe(**{field: value})
