"""Recurrent layers: what they cost, by hand."""

import pytest
import torch
from torch import nn

from narrower.cost.missing import missing
from narrower.cost.network_cost import NetworkCost
from narrower.cost.plan_energy import energy
from narrower.graph.trace import trace
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan
from tests.flop_counter import counted_by_torch
from tests.products_zoo import Recurrent

STEPS, INPUTS, UNITS = 7, 6, 4


def cost_of(layer: nn.Module, features: int = UNITS) -> NetworkCost:
    model = Recurrent(layer, features).eval()
    inputs = torch.randn(3, STEPS, INPUTS)
    cost = NetworkCost(trace(model, inputs, "recurrent").network)
    assert cost.macs == counted_by_torch(model, inputs[:1])
    return cost


@pytest.mark.parametrize(("kind", "gates"), [(nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1)])
def test_every_step_multiplies_input_and_state_with_the_matrices_of_all_gates(kind: type, gates: int) -> None:
    cost = cost_of(kind(INPUTS, UNITS, batch_first=True))
    assert cost.macs == STEPS * gates * UNITS * (INPUTS + UNITS) + UNITS * 5


@pytest.mark.parametrize(("kind", "gates"), [(nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1)])
def test_the_second_of_two_layers_reads_both_directions(kind: type, gates: int) -> None:
    cost = cost_of(kind(INPUTS, UNITS, 2, bidirectional=True, batch_first=True), 2 * UNITS)
    of_a_step = 2 * gates * UNITS * (INPUTS + UNITS) + 2 * gates * UNITS * (2 * UNITS + UNITS)
    assert cost.macs == STEPS * of_a_step + 2 * UNITS * 5


def test_a_projection_makes_the_state_smaller_and_is_a_product_of_its_own() -> None:
    cost = cost_of(nn.LSTM(INPUTS, UNITS, batch_first=True, proj_size=3), 3)
    assert cost.macs == STEPS * (4 * UNITS * (INPUTS + 3) + UNITS * 3) + 3 * 5


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize(
    ("layer", "cell"), [(nn.LSTM, nn.LSTMCell), (nn.GRU, nn.GRUCell), (nn.RNN, nn.RNNCell)]
)
def test_flops_of_one_step_are_those_of_a_cell(layer: type, cell: type, batch_first: bool) -> None:
    class Step(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer(INPUTS, UNITS, batch_first=batch_first)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x.unsqueeze(1 if batch_first else 0))[0]

    x = torch.randn(3, INPUTS)
    steps, cells = (NetworkCost(trace(m, x).network) for m in (Step(), cell(INPUTS, UNITS)))
    assert (steps.macs, steps.flops) == (cells.macs, cells.flops)


def test_a_recurrent_layer_costs_by_the_widths_of_its_weights_and_data() -> None:
    cost = cost_of(nn.GRU(INPUTS, UNITS, batch_first=True))
    inside = STEPS * 3 * UNITS * (INPUTS + UNITS)
    head = LayerPlan(FixedPoint(8, 4), FixedPoint(4, 2), FixedPoint(8, 4))
    weights = 3 * UNITS * (INPUTS + UNITS)
    for own, data, weight in (
        (LayerPlan(), 32, 32),
        (head, 8, 4),
        (LayerPlan(weight=FixedPoint(4, 2)), 32, 4),
    ):
        plan = Plan.of({"head": head, "layer": own})
        assert cost.of(plan)["bitops"] == inside * data * weight + UNITS * 5 * 8 * 4
        average = (weights * weight + UNITS * 5 * 4) / (weights + UNITS * 5)
        assert cost.of(plan)["average_bitwidth"] == average
    alone = Plan.of({"head": head})
    by_hand = inside * 4.6 + UNITS * 5 * (energy(cost, alone).compute_pj - inside * 4.6) / (UNITS * 5)
    assert cost.of(alone)["energy"] == pytest.approx(by_hand)
    assert cost.of(Plan())["energy"] == pytest.approx((inside + UNITS * 5) * 4.6)  # 3.7 and 0.9 pJ


def test_nothing_is_missing_from_a_recurrent_layer() -> None:
    assert missing(cost_of(nn.GRU(INPUTS, UNITS, batch_first=True))) == ()
