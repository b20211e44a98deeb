"""A ReLU that its only reader's format makes superfluous is left out, and nothing changes."""

import pytest
import torch
from torch import nn

from narrower.data.parts import Part
from narrower.evaluate.definition import defined_outputs
from narrower.evaluate.evaluator import Evaluator
from narrower.graph.lower import lower
from narrower.graph.trace import trace
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan


@pytest.mark.parametrize("rounding", ["half_even", "half_up", "floor"])
@pytest.mark.parametrize("overflow", ["saturate", "wrap"])
@pytest.mark.parametrize("is_signed", [False, True])
def test_a_relu_before_a_format_without_sign_is_what_the_definition_has(
    rounding: str, overflow: str, is_signed: bool
) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Flatten()).eval()
    inputs = 3 * torch.randn(20, 2, 6, 6)
    program = lower(trace(model, inputs[:2]))
    number_format = FixedPoint(4, 1, is_signed, rounding, overflow)
    plan = Plan.of({name: LayerPlan(output=number_format) for name in ("0", "2")})
    wanted = defined_outputs(program, plan, inputs)
    assert (wanted == 0).any()
    part = Part(inputs, wanted)  # a regression whose targets are what is to come out
    evaluator = Evaluator(program, part, batch_size=10)
    assert torch.equal(evaluator.outputs(plan, inputs), wanted)
    other = Plan.of({name: LayerPlan(output=FixedPoint(3, 1)) for name in ("0", "2")})
    for plans in ([plan], [plan, other, Plan()]):  # alone, and where values are held for others
        assert evaluator.evaluate(plans)[0].metrics["mse"] == 0.0
