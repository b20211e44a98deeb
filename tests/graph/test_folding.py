"""Folded models compute what they were folded from, and come back from files."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from narrower.errors import CheckpointError, ModelError
from narrower.graph.folding import fold_batch_norm, folded_layers, with_folded_layers
from narrower.models.build import build_model
from narrower.models.checkpoints import load_weights, save_weights
from tests.conftest import with_statistics

SHIPPED = {"jsc-toy": ((16,), 3), "digits-mlp": ((1, 8, 8), 1), "digits-cnn": ((1, 8, 8), 2)}


class Unfoldable(nn.Module):
    """Why batch norms stay: no product before them, a result or a module used twice, functions."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.BatchNorm1d(4)
        self.branched, self.after_branch = nn.Linear(4, 4), nn.BatchNorm1d(4)
        self.twice, self.after_twice = nn.Linear(4, 4), nn.BatchNorm1d(4)
        self.function, self.after_function = nn.Linear(4, 4), nn.BatchNorm1d(4)
        self.tied, self.after_tied, self.same = nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 4)
        self.same.weight = self.tied.weight

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        branched = self.branched(x)
        x = self.after_branch(branched) + branched
        x = self.twice(F.relu(self.after_twice(self.twice(x))))
        x = self.after_function(F.linear(x, self.function.weight))
        return self.same(F.relu(self.after_tied(self.tied(x))))


def test_weight_and_bias_by_hand() -> None:
    model = nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1, eps=0.0)).eval()
    with torch.no_grad():
        model[0].weight.fill_(2), model[0].bias.fill_(1)
        model[1].running_mean.fill_(3), model[1].running_var.fill_(4)
        model[1].weight.fill_(0.5), model[1].bias.fill_(7)
    folded = fold_batch_norm(model, torch.randn(3, 1))
    # ((2 x + 1) - 3) / 2 * 0.5 + 7
    assert (folded[0].weight.item(), folded[0].bias.item()) == (0.5, 6.5)
    assert model[0].weight.item() == 2
    assert folded_layers(folded) == {"1": "0"}


@pytest.mark.parametrize("name", SHIPPED)
def test_a_folded_model_computes_the_same_up_to_rounding(name: str) -> None:
    shape, count = SHIPPED[name]
    inputs = torch.randn(50, *shape)
    model = with_statistics(build_model(name), inputs).eval()
    folded = fold_batch_norm(model, inputs[:3])
    assert len(folded_layers(folded)) == count
    with torch.no_grad():
        torch.testing.assert_close(folded(inputs), model(inputs), atol=1e-5, rtol=1e-5)
    assert folded_layers(fold_batch_norm(folded, inputs[:3])) == folded_layers(folded)


def test_a_batch_norm_without_statistics_of_its_own_scale_is_folded() -> None:
    inputs = torch.randn(20, 3, 6, 6)
    model = nn.Sequential(nn.Conv2d(3, 6, 3, groups=3, bias=False), nn.BatchNorm2d(6, affine=False))
    model = with_affine_free_statistics(model, inputs)
    folded = fold_batch_norm(model, inputs[:3])
    with torch.no_grad():
        torch.testing.assert_close(folded(inputs), model(inputs), atol=1e-5, rtol=1e-5)


def with_affine_free_statistics(model: nn.Module, inputs: Tensor) -> nn.Module:
    with torch.no_grad():
        model.train()(inputs)
    return model.eval()


def test_what_cannot_be_folded_stays() -> None:
    model, inputs = Unfoldable().eval(), torch.randn(5, 4)
    folded = fold_batch_norm(model, inputs)
    assert folded_layers(folded) == {}
    with torch.no_grad():
        torch.testing.assert_close(folded(inputs), model(inputs), atol=0, rtol=0)


def test_a_linear_layer_over_a_sequence_keeps_its_batch_norm() -> None:
    """That batch norm is over the second dimension, the layer's outputs are in the last."""
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).eval()
    assert folded_layers(fold_batch_norm(model, torch.randn(3, 4, 4))) == {}


def test_a_folded_model_comes_back_from_its_file(tmp_path: Path) -> None:
    inputs = torch.randn(50, 1, 8, 8)
    model = with_statistics(build_model("digits-cnn"), inputs).eval()
    folded = fold_batch_norm(model, inputs[:3])
    save_weights(folded, tmp_path / "m.safetensors")
    loaded = load_weights(build_model("digits-cnn"), tmp_path / "m.safetensors").eval()
    with torch.no_grad():
        torch.testing.assert_close(loaded(inputs), folded(inputs), atol=0, rtol=0)
    with pytest.raises(CheckpointError, match="no batch norm '1' after a product '0'"):
        load_weights(build_model("digits-mlp"), tmp_path / "m.safetensors")


def test_layers_that_are_not_there_are_named() -> None:
    with pytest.raises(ModelError, match="'9'"):
        with_folded_layers(build_model("digits-mlp"), {"9": "1"})
