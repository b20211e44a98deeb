"""Batch norms whose statistics are those of what the rounded products before them give."""

import torch
from torch import nn
from torch.nn import functional as F

from narrower.evaluate.norm_estimation import with_estimated_norms
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan
from narrower.transform.quantizers.quantize import quantize

DATA, WEIGHT = FixedPoint(4, 1, rounding="floor"), FixedPoint(3, 2)


def test_each_norm_has_the_statistics_of_the_rounded_network_before_it() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 5), nn.BatchNorm1d(5)
    )
    x = torch.randn(200, 2, 6, 6)
    with torch.no_grad():
        for _ in range(40):
            model(x)
    model.eval()
    plan = Plan.of({name: LayerPlan(DATA, WEIGHT) for name in ("0", "4")})
    found = with_estimated_norms(model, plan, x)
    with torch.no_grad():
        first = F.conv2d(quantize(x, DATA), quantize(model[0].weight, WEIGHT), model[0].bias)
        mean, variance = first.mean((0, 2, 3)), first.var((0, 2, 3))
        norm = model[1]
        between = (first - mean.view(-1, 1, 1)) / (variance + norm.eps).sqrt().view(-1, 1, 1)
        between = (between * norm.weight.view(-1, 1, 1) + norm.bias.view(-1, 1, 1)).relu().flatten(1)
        last = F.linear(quantize(between, DATA), quantize(model[4].weight, WEIGHT), model[4].bias)
    assert isinstance(found, nn.Sequential)
    torch.testing.assert_close(found[1].running_mean, mean, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found[1].running_var, variance, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found[5].running_mean, last.mean(0), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(found[5].running_var, last.var(0), rtol=1e-2, atol=1e-3)
    assert (model[1].running_mean - mean).abs().max() > 0.05  # rounding down moves means
