"""A copy of a model can be changed without the model noticing."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize

from narrower.graph.own_copy import own_copy


class Doubled(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * x


def test_a_further_parametrization_of_the_copy_leaves_the_model_as_it_is() -> None:
    model = nn.Sequential(parametrizations.weight_norm(nn.Linear(3, 2)))
    x = torch.randn(4, 3)
    before = model(x)
    copied = own_copy(model)
    assert torch.equal(copied(x), before)
    parametrize.register_parametrization(copied[0], "bias", Doubled())
    assert torch.equal(model(x), before)
    torch.testing.assert_close(copied(x), before + model[0].bias)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_weight_that_a_hook_computes_is_computed_by_the_copy() -> None:
    model = nn.Sequential(nn.utils.weight_norm(nn.Linear(3, 2)))
    x = torch.randn(4, 3)
    before = model(x)
    copied = own_copy(model)
    with torch.no_grad():
        copied[0].weight_g.mul_(2)
    torch.testing.assert_close(copied(x) - model[0].bias, 2 * (before - model[0].bias))
    assert torch.equal(model(x), before)
