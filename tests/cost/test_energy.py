"""Energy by the 45 nm table, by hand."""

import pytest
import torch

from narrower.cost.energy import is_measured, multiply_accumulate_pj
from narrower.cost.network_cost import NetworkCost
from narrower.cost.plan_energy import energy
from narrower.graph.trace import trace
from narrower.models.build import build_model
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan


@pytest.fixture(scope="module")
def toy() -> NetworkCost:
    return NetworkCost(trace(build_model("jsc-toy"), torch.randn(3, 16), "jsc-toy").network)


def test_measured_widths_have_the_values_of_the_table() -> None:
    # Horowitz, ISSCC 2014, figure 1.1.9
    assert multiply_accumulate_pj(None, None) == pytest.approx(3.7 + 0.9)
    assert multiply_accumulate_pj(8, 8) == pytest.approx(0.2 + 0.1)
    assert multiply_accumulate_pj(32, 32) == pytest.approx(3.1 + 0.1)


def test_other_widths_lie_in_between_and_are_said_to_be_extrapolated() -> None:
    assert multiply_accumulate_pj(8, 8) < multiply_accumulate_pj(8, 16) < multiply_accumulate_pj(32, 32)
    assert multiply_accumulate_pj(4, 8) == multiply_accumulate_pj(8, 4) < multiply_accumulate_pj(8, 8)
    assert is_measured(8, 8)
    assert is_measured(None, None)
    assert not is_measured(8, 4)
    assert not is_measured(16, 16)
    assert not is_measured(8, None)


def test_energy_of_jsc_toy(toy: NetworkCost) -> None:
    float32 = energy(toy, Plan())
    assert float32.compute_pj == pytest.approx(232 * 4.6)
    assert float32.extrapolated == ()
    eight = FixedPoint(8, 4)
    plan = Plan.of(
        {
            "seq_blocks.2": LayerPlan(eight, eight, eight),
            "seq_blocks.5": LayerPlan(eight, FixedPoint(4, 2), eight),
        }
    )
    mixed = energy(toy, plan)
    assert mixed.extrapolated == ("seq_blocks.5",)
    assert mixed.compute_pj == pytest.approx(
        128 * 0.3 + 64 * multiply_accumulate_pj(8, 4) + 40 * 4.6, rel=1e-6
    )


def test_movement_is_reported_apart(toy: NetworkCost) -> None:
    # weights 232, inputs 16 + 8 + 8, outputs 8 + 8 + 5, all of 32 bits
    bits = (232 + 32 + 21) * 32
    movement = dict(energy(toy, Plan()).movement_pj)
    assert movement["DRAM"] == pytest.approx(bits / 64 * 1300)
    assert movement["32 KB cache"] == pytest.approx(bits / 64 * 20)
