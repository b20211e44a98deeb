"""Costs of plans, by hand."""

import pytest
import torch
from torch import Tensor, nn

from narrower.cost.network_cost import NetworkCost
from narrower.graph.trace import trace
from narrower.models.build import build_model
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan


@pytest.fixture(scope="module")
def toy() -> NetworkCost:
    return NetworkCost(trace(build_model("jsc-toy"), torch.randn(3, 16), "jsc-toy").network)


def test_float32_costs_of_jsc_toy(toy: NetworkCost) -> None:
    # products 16x8, 8x8, 8x5; parameters: weights 232, biases 21, batch norms 2 x (16 + 8 + 8 + 5)
    costs = toy.of(Plan())
    assert costs["macs"] == 128 + 64 + 40
    assert costs["bitops"] == 232 * 32 * 32
    assert costs["model_size"] == (232 + 21 + 74) * 4
    assert costs["average_bitwidth"] == 32
    assert costs["memory_density"] == 1


def test_costs_of_a_mixed_plan(toy: NetworkCost) -> None:
    plan = Plan.of(
        {
            "seq_blocks.2": LayerPlan(FixedPoint(4, 2), FixedPoint(2, 1), FixedPoint(8, 4)),
            "seq_blocks.8": LayerPlan(weight=FixedPoint(8, 4)),
        }
    )
    costs = toy.of(plan)
    assert costs["bitops"] == 128 * 4 * 2 + 64 * 32 * 32 + 40 * 32 * 8
    bits = 128 * 2 + 64 * 32 + 40 * 8 + 8 * 8 + (8 + 5) * 32 + 74 * 32
    assert costs["model_size"] == bits / 8
    assert costs["average_bitwidth"] == (128 * 2 + 64 * 32 + 40 * 8) / 232
    assert costs["memory_density"] == pytest.approx(32 / costs["average_bitwidth"])


def test_data_and_bias_widths_do_not_enter_the_average(toy: NetworkCost) -> None:
    plan = Plan.of({"seq_blocks.2": LayerPlan(data=FixedPoint(2, 1), bias=FixedPoint(2, 1))})
    assert toy.of(plan)["average_bitwidth"] == 32


class SharedTwice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(torch.relu(self.layer(x)))


def test_a_layer_that_is_used_twice_computes_twice_and_is_stored_once() -> None:
    cost = NetworkCost(trace(SharedTwice(), torch.randn(3, 8), "shared").network)
    plan = Plan.of({"layer": LayerPlan(FixedPoint(4, 2), FixedPoint(4, 2), FixedPoint(4, 2))})
    assert cost.of(Plan())["macs"] == 2 * 64
    assert cost.of(plan)["bitops"] == 2 * 64 * 16
    assert cost.of(plan)["model_size"] == 72 * 4 / 8


class UnknownOperator(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.special.i0(x)


def test_an_operator_without_a_rule_is_named_and_not_counted_as_zero() -> None:
    cost = NetworkCost(trace(UnknownOperator(), torch.randn(3, 8), "unknown").network)
    assert [operator.kind for operator in cost.uncounted] == ["special_i0"]
    assert cost.flops_by_operator[cost.uncounted[0].name] is None
