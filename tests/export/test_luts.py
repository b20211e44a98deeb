"""The cheap estimate of logic, by hand."""

import torch
from torch import nn

from narrower.export.luts import ebops
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
