"""A logit that lies between 0 and 1 for the first samples is one; what comes from a sigmoid is refused."""

import pytest
import torch
from torch import nn

from narrower.data.parts import DataSet, Part
from narrower.errors import DataError
from narrower.models.fit import check_fit


def data() -> DataSet:
    chance = torch.Generator().manual_seed(0)
    inputs = torch.rand(90, 4, generator=chance)
    part = Part(inputs, (inputs.sum(dim=1) > 2).long())
    return DataSet("halves", part, part, part, ("low", "high"))


def logit(bias: float, scale: float, *behind: nn.Module) -> nn.Module:
    layer = nn.Linear(4, 1)
    nn.init.constant_(layer.weight, scale)
    nn.init.constant_(layer.bias, bias)
    return nn.Sequential(layer, *behind).eval()


def test_logits_of_two_samples_may_lie_between_zero_and_one() -> None:
    inputs = data().validation.inputs
    model = logit(0.5 - 0.5 * float(inputs[:2].sum(dim=1).mean()), 0.5)
    is_between = (model(inputs) >= 0) & (model(inputs) <= 1)
    assert is_between[:2].all()
    assert not is_between.all()
    check_fit(model, data())
    check_fit(logit(0.5, 0.01), data())  # all samples do, but a product gives them


@pytest.mark.parametrize("behind", [nn.Sigmoid(), nn.Hardsigmoid()])
def test_probabilities_are_refused(behind: nn.Module) -> None:
    with pytest.raises(DataError, match="as behind a sigmoid"):
        check_fit(logit(0.5, 0.01, behind), data())
