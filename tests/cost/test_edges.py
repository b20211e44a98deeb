"""What plans that round edges cost: products by the bits of what they read."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from narrower.cost.network_cost import NetworkCost
from narrower.graph.trace import trace
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan
from tests.edge_zoo import Joined, Residual

PRODUCTS = {"first": 8 * 27 * 64, "second": 8 * 72 * 64, "third": 8 * 72 * 64, "fc": 40}


def written(**widths: int) -> Plan:
    return Plan.of({name: LayerPlan(output=FixedPoint(width, 2)) for name, width in widths.items()})


def bitops(model: nn.Module, plan: Plan, *shape: int) -> float:
    return NetworkCost(trace(model.eval(), torch.randn(2, *shape)).network).of(plan)["bitops"]


def test_a_product_costs_by_the_edge_that_it_reads() -> None:
    # The first convolution reads the input, the second what that writes, and so on; weights have 32 bits.
    found = bitops(Residual(), written(input=8, first=5, second=4, third=3, add=6, pool=7, fc=2), 3, 8, 8)
    assert found == 32 * (
        PRODUCTS["first"] * 8 + PRODUCTS["second"] * 5 + PRODUCTS["third"] * 4 + PRODUCTS["fc"] * 7
    )


def test_an_edge_that_is_not_rounded_has_32_bits() -> None:
    found = bitops(Residual(), written(second=4), 3, 8, 8)
    rest = PRODUCTS["first"] + PRODUCTS["second"] + PRODUCTS["fc"]
    assert found == 32 * (rest * 32 + PRODUCTS["third"] * 4)


def test_max_pooling_and_reshaping_pass_the_bits_of_their_edge_on() -> None:
    found = bitops(Joined(), written(cat=5, last=3), 3, 8, 8)
    macs = {"left": 4 * 27 * 64, "right": 4 * 3 * 64, "last": 8 * 72 * 4, "fc": 32 * 5}
    assert found == 32 * ((macs["left"] + macs["right"]) * 32 + macs["last"] * 5 + macs["fc"] * 3)


def test_data_that_are_rounded_where_they_are_read_have_these_bits() -> None:
    plan = Plan.of(
        {
            "input": LayerPlan(output=FixedPoint(8, 4)),
            "first": LayerPlan(data=FixedPoint(4, 2), weight=FixedPoint(3, 2), output=FixedPoint(6, 2)),
        }
    )
    rest = 32 * (PRODUCTS["second"] * 6 + (PRODUCTS["third"] + PRODUCTS["fc"]) * 32)
    assert bitops(Residual(), plan, 3, 8, 8) == PRODUCTS["first"] * 4 * 3 + rest


class Attention(nn.Module):
    """[N, 6, 8] -> [N, 6, 8]: 4 queries' numbers against keys, and values."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(8, 8) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(self.query(x), self.key(x), self.value(x))


def test_both_products_of_attention_cost_by_what_they_multiply() -> None:
    plan = written(**{
        "input": 8, "query": 7, "key": 5, "value": 4, "scaled_dot_product_attention.softmax": 3,
    })  # fmt: skip
    projections = 3 * 6 * 8 * 8 * 8 * 32
    half = 6 * 6 * 8
    assert bitops(Attention(), plan, 6, 8) == projections + half * 7 * 5 + half * 3 * 4
