"""Which plans give the same bits everywhere."""

import torch
from torch import nn

from narrower.export.exactness import inexact_operators
from narrower.graph.lower import lower
from narrower.graph.trace import trace
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan


def _reasons(model: nn.Module, plan: LayerPlan) -> tuple[str, ...]:
    program = lower(trace(model.eval(), torch.randn(3, 4), "model"))
    return inexact_operators(program, Plan.of({"0": plan}))


def _model(weight: float, *others: nn.Module) -> nn.Module:
    linear = nn.Linear(4, 2)
    nn.init.constant_(linear.weight, weight)
    return nn.Sequential(linear, *others)


def test_sums_up_to_two_to_the_24_steps_are_exact() -> None:
    # 4 weights of 2**7 steps and data up to 2**15 steps: 2**24
    inside = LayerPlan(FixedPoint(16, 8), FixedPoint(16, 7))
    assert _reasons(_model(1.0), inside) == ()
    # one step more in every weight
    (reason,) = _reasons(_model(1.0 + 2**-7), inside)
    assert reason.startswith("0: its sums may reach 16,908,288 steps")


def test_a_float32_operand_makes_a_product_inexact() -> None:
    eight = FixedPoint(8, 4)
    assert _reasons(_model(1.0), LayerPlan(data=eight)) == ("0: its weight is float32",)
    assert _reasons(_model(1.0), LayerPlan(weight=eight)) == ("0: its data is float32",)


def test_relu_is_exact_and_tanh_is_not() -> None:
    eight = LayerPlan(FixedPoint(8, 4), FixedPoint(8, 4))
    assert _reasons(_model(1.0, nn.ReLU()), eight) == ()
    assert _reasons(_model(1.0, nn.Tanh()), eight) == ("tanh: tanh is rounded differently by runtimes",)
