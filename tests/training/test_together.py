"""Candidates that are trained together end as if each were trained alone."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from narrower.data.parts import Part
from narrower.errors import NarrowerError
from narrower.training.batches import Batches
from narrower.training.chain_of_layers import layers_of_chain
from narrower.training.recipe import Recipe
from narrower.training.together import train_together

SETTINGS = Recipe(max_epochs=2, batch_size=32, learning_rate=1e-3, seed=3)


def candidate(width: int, seed: int) -> nn.Module:
    """Without a bias before batch norm: its gradient is nothing but rounding, which Adam blows up."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.BatchNorm1d(6),
        nn.Linear(6, width, bias=False),
        nn.BatchNorm1d(width),
        nn.ReLU(),
        nn.Linear(width, 3),
    )


def samples() -> Part:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(96, 6, generator=generator)
    return Part(inputs, inputs[:, :3].argmax(dim=1))


def train_alone(model: nn.Module, part: Part) -> tuple[nn.Module, float]:
    alone = copy.deepcopy(model).train()
    optimizer = torch.optim.Adam(alone.parameters(), lr=SETTINGS.learning_rate)
    batches = Batches(part, SETTINGS.batch_size, SETTINGS.seed)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, SETTINGS.max_epochs * len(batches))
    losses = []
    for _ in range(SETTINGS.max_epochs):
        for inputs, targets in batches:
            loss = F.cross_entropy(alone(*inputs), targets)
            losses.append(loss.item())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return alone, losses[0]


def test_each_candidate_ends_as_if_trained_alone() -> None:
    part = samples()
    models = [candidate(width, seed) for seed, width in enumerate((2, 7, 4))]
    together = train_together(models, part, SETTINGS)
    for model, trained, first in zip(models, together.models, together.first_losses, strict=True):
        alone, first_alone = train_alone(model, part)
        assert first == pytest.approx(first_alone, abs=1e-5)
        alone.eval()
        torch.testing.assert_close(trained(part.inputs), alone(part.inputs), rtol=1e-3, atol=1e-3)
        for name in ("0.running_mean", "0.running_var", "2.running_var", "4.weight"):
            torch.testing.assert_close(
                trained.state_dict()[name], alone.state_dict()[name], rtol=1e-3, atol=1e-3
            )
        assert trained.state_dict()["0.num_batches_tracked"] == 6  # 2 epochs of 96 / 32 batches


def test_the_given_models_are_left_alone() -> None:
    model = candidate(4, 0)
    before = copy.deepcopy(model.state_dict())
    train_together([model], samples(), SETTINGS)
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)


class _Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.second(self.first(x) + x)
        return output


def test_a_model_with_something_between_its_layers_is_no_chain() -> None:
    part = samples()
    assert layers_of_chain(_Residual(), part.inputs[:2]) is None
    with pytest.raises(NarrowerError, match="one at a time"):
        train_together([_Residual()], part, SETTINGS)


def test_what_a_candidate_becomes_does_not_depend_on_the_others() -> None:
    part = samples()
    models = [candidate(width, seed) for seed, width in enumerate((2, 7, 4, 9, 3))]
    together = train_together(models, part, SETTINGS).models
    for some in ([0], [2, 1], [4, 3, 0]):
        trained = train_together([models[i] for i in some], part, SETTINGS).models
        for number, model in zip(some, trained, strict=True):
            torch.testing.assert_close(model.state_dict(), together[number].state_dict(), rtol=0, atol=0)


def convolutional(width: int, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(width, 2 * width, 3, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(2 * width, 3),
    )


def test_chains_of_convolutions_are_trained_together_as_well() -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(96, 1, 6, 6, generator=generator)
    part = Part(inputs, inputs[:, 0, 0, :3].argmax(dim=1))
    models = [convolutional(width, seed) for seed, width in enumerate((2, 5, 3))]
    together = train_together(models, part, SETTINGS)
    for model, trained, first in zip(models, together.models, together.first_losses, strict=True):
        alone, first_alone = train_alone(model, part)
        assert first == pytest.approx(first_alone, abs=1e-5)
        torch.testing.assert_close(trained(inputs), alone.eval()(inputs), rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(
            trained.state_dict()["1.running_var"], alone.state_dict()["1.running_var"], rtol=1e-3, atol=1e-3
        )


def test_a_candidate_without_a_loss_does_not_spoil_the_others() -> None:
    part = samples()
    broken = candidate(3, 0)
    with torch.no_grad():
        broken[1].weight.fill_(float("nan"))  # type: ignore[union-attr, operator]
    good = candidate(4, 1)
    together = train_together([broken, good], part, SETTINGS)
    assert "learning rate" in (together.failures[0] or "")
    assert together.failures[1] is None
    (alone,) = train_together([good], part, SETTINGS).models
    torch.testing.assert_close(together.models[1].state_dict(), alone.state_dict(), rtol=0, atol=0)
