"""Corrected biases give back the means that rounding moved."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from narrower.evaluate.bias_correction import with_corrected_biases
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan
from narrower.transform.quantizers.quantize import quantize
from tests.edge_zoo import Residual

DATA, WEIGHT = FixedPoint(4, 1, rounding="floor"), FixedPoint(3, 2)
X = torch.randn(200, 6, generator=torch.Generator().manual_seed(0))


def linear_outputs(model: nn.Sequential, x: Tensor, *, rounds: bool) -> list[Tensor]:
    """What both linear layers give, written out."""
    found = []
    for name in (0, 2):
        layer = model[name]
        assert isinstance(layer, nn.Linear)
        weight = layer.weight.detach()
        if rounds:
            x, weight = quantize(x, DATA), quantize(weight, WEIGHT)
        x = F.linear(x, weight, layer.bias.detach())
        found.append(x)
        x = x.relu()
    return found


def test_each_channel_has_the_mean_that_it_had_in_float32() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4)).eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    plan = Plan.of({name: LayerPlan(DATA, WEIGHT) for name in ("0", "2")})
    corrected = with_corrected_biases(model, plan, X)
    assert isinstance(corrected, nn.Sequential)
    wanted = linear_outputs(model, X, rounds=False)
    moved = linear_outputs(model, X, rounds=True)
    restored = linear_outputs(corrected, X, rounds=True)
    for one, two, three in zip(wanted, moved, restored, strict=True):
        assert (two.mean(0) - one.mean(0)).abs().max() > 0.05  # rounding down moves means
        torch.testing.assert_close(three.mean(0), one.mean(0), rtol=0, atol=1e-4)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    changed = {n for n, tensor in corrected.state_dict().items() if not torch.equal(tensor, before[n])}
    assert changed == {"0.bias", "2.bias"}


def test_without_roundings_nothing_is_corrected() -> None:
    model = Residual().eval()
    corrected = with_corrected_biases(model, Plan(), torch.randn(16, 3, 8, 8))
    for name, tensor in corrected.state_dict().items():
        torch.testing.assert_close(tensor, model.state_dict()[name], rtol=0, atol=1e-7)
