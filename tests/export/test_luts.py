"""Logic cost: the cheap estimate by hand, the other against synthesis."""

import shutil

import pytest
import torch
from torch import nn

from narrower.export.luts import ebops, luts, yosys_luts
from narrower.export.own_outputs import own_outputs
from narrower.graph.lower import lower
from narrower.graph.trace import trace
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan


def test_ebops_count_the_bits_that_weights_need() -> None:
    linear = nn.Linear(2, 2, bias=False)
    # in steps of 1/4: 3 (11: 2 bits), 4 (1 and zeros: 1 bit), 0 (none), -5 (101: 3 bits)
    linear.weight.data = torch.tensor([[0.75, 1.0], [0.0, -1.25]])
    program = lower(trace(linear, torch.randn(3, 2)))
    (layer,) = program.network.product_layers
    assert (
        ebops(program, Plan.of({layer: LayerPlan(FixedPoint(6, 3), FixedPoint(4, 2))})) == (2 + 1 + 0 + 3) * 6
    )


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("yosys") is None, reason="Yosys is not installed")
def test_the_estimate_is_near_synthesis() -> None:
    pytest.importorskip("da4ml")
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 4))
    inputs = torch.randn(500, 8)
    with torch.no_grad():
        model(inputs)
    program = lower(trace(model.eval(), inputs))
    layer = LayerPlan(FixedPoint(8, 4), FixedPoint(6, 5), FixedPoint(8, 5))
    plan = Plan.of({"0": layer, "3": layer})
    outputs = own_outputs(program, plan, inputs)
    assert luts(program, plan, outputs) == pytest.approx(yosys_luts(program, plan, outputs), rel=0.2)
