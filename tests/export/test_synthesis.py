"""The computed look-up tables and registers are near what Yosys needs, for three families."""

import shutil
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from narrower.errors import ExportError
from narrower.export.luts import logic_of
from narrower.export.own_outputs import own_outputs
from narrower.export.pipelined import Pipelined, pipelined
from narrower.export.synthesis import FAMILIES, counted, synthesise
from narrower.graph.lower import lower
from narrower.graph.trace import trace
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan

if TYPE_CHECKING:
    from da4ml.types import CombLogic

needs_yosys = pytest.mark.skipif(shutil.which("yosys") is None, reason="Yosys is not installed")
# How many look-up tables a family takes for each that is computed, at least and at most: those of four
# inputs hold less, and what Yosys finds in one network it does not find in the next.
FACTORS = {"xilinx": (0.8, 1.2), "ice40": (0.9, 1.6), "ecp5": (0.9, 1.7)}


def logic(inputs: int, hidden: int, stages: int) -> "tuple[CombLogic, Pipelined]":
    pytest.importorskip("da4ml")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Linear(inputs, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, 3)
        )
        samples = torch.randn(500, inputs)
        with torch.no_grad():
            model(samples)
    program = lower(trace(model.eval(), samples))
    layer = LayerPlan(FixedPoint(6, 3, rounding="half_up"), FixedPoint(4, 3), FixedPoint(6, 3))
    plan = Plan.of({"0": layer, "3": layer})
    made = logic_of(program, plan, own_outputs(program, plan, samples))
    return made, pipelined(made, stages)


def test_cells_are_counted_by_hand() -> None:
    before = "Number of cells: 9\n  LUT4  9\n\n"
    said = f"{before}   Number of cells:   14\n     CCU2C     3\n     LUT4      5\n     TRELLIS_FF   6\n"
    found = counted(said, FAMILIES["ecp5"])
    assert (found.luts, found.registers) == (5 + 2 * 3, 6)


def test_an_unknown_family_is_refused() -> None:
    made, _ = logic(2, 2, 1)
    with pytest.raises(ExportError, match="no family 'stratix'; allowed: xilinx, ice40, ecp5"):
        synthesise(made, "stratix")


@needs_yosys
def test_registers_of_a_small_network_are_those_of_synthesis() -> None:
    made, clocked = logic(3, 2, 2)
    found = synthesise(clocked.logic, "ice40")
    # Yosys may drop some that are constant or equal, and never needs more
    assert 0.9 * clocked.registers <= found.registers <= clocked.registers
    low, high = FACTORS["ice40"]
    assert low * made.cost <= found.luts <= high * made.cost


@needs_yosys
@pytest.mark.slow
@pytest.mark.parametrize("stages", [0, 4])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_computed_logic_is_near_synthesis(family: str, stages: int) -> None:
    made, clocked = logic(10, 8, max(stages, 1))
    found = synthesise(clocked.logic if stages else made, family)
    low, high = FACTORS[family]
    assert low * made.cost <= found.luts <= high * made.cost
    if stages:
        assert 0.8 * clocked.registers <= found.registers <= clocked.registers
    else:
        assert found.registers == 0
