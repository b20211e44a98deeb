"""Intervals of what the engine measured, against the samples looked at one by one."""

from math import sqrt

import pytest
import torch
from scipy.stats import binomtest
from torch import nn

from narrower.data.parts import Part
from narrower.evaluate.evaluator import Evaluator
from narrower.evaluate.intervals import with_intervals
from narrower.graph.lower import lower
from narrower.graph.trace import trace
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan

SAMPLES = 500
PLANS = [Plan(), Plan.of({"0": LayerPlan(weight=FixedPoint(3, 1)), "2": LayerPlan(weight=FixedPoint(3, 1))})]


def small(outputs: int) -> nn.Module:
    torch.manual_seed(4)
    return nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, outputs)).eval()


def rounded(model: nn.Module) -> nn.Module:
    """Weights of 3 bits with one behind the point: from -2 to 1.5 in halves."""
    for name, parameter in model.named_parameters():
        if name.endswith("weight"):
            parameter.data = (parameter.data * 2).round().clamp(-4, 3) / 2
    return model


def evaluator(outputs: int, part: Part) -> Evaluator:
    return Evaluator(lower(trace(small(outputs), (part.inputs[:3],))), part, batch_size=64)


def test_an_error_has_the_interval_of_a_mean_over_its_samples() -> None:
    chance = torch.Generator().manual_seed(1)
    inputs = torch.randn(SAMPLES, 4, generator=chance)
    part = Part(inputs, torch.randn(SAMPLES, generator=chance))
    found = with_intervals(evaluator(1, part), PLANS)
    for quality, model in zip(found, (small(1), rounded(small(1))), strict=True):
        errors = (model(inputs)[:, 0] - part.targets).square().double()
        mean, error = errors.mean().item(), errors.std().item() / sqrt(SAMPLES)
        assert quality.interval is not None
        ends = [(end - mean) / error for end in quality.interval]
        assert ends == pytest.approx([-1.96, 1.96], abs=0.3)  # errors are skewed
    assert found[0].interval != found[1].interval


def test_a_share_has_wilsons_interval() -> None:
    chance = torch.Generator().manual_seed(2)
    inputs = torch.randn(SAMPLES, 4, generator=chance)
    part = Part(inputs, torch.randint(0, 3, (SAMPLES,), generator=chance))
    found = with_intervals(evaluator(3, part), PLANS)
    for quality, model in zip(found, (small(3), rounded(small(3))), strict=True):
        hits = int((model(inputs).argmax(dim=1) == part.targets).sum())
        expected = binomtest(hits, SAMPLES).proportion_ci(method="wilson")
        assert quality.interval == pytest.approx((expected.low, expected.high), abs=1e-9)
