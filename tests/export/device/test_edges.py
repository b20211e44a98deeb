"""Plans that round edges: C stores each tensor once, as all that read it see it, and agrees."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from narrower.errors import ExportError
from narrower.evaluate.int8_plan import int8_plan_of
from narrower.export.device.network import c_network
from narrower.export.device.packing import PACKS
from narrower.graph.edges import edges_of
from narrower.graph.program import Program
from narrower.plan.formats.affine import Affine
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.formats.fixed_each import FixedEach
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.plan import UNCHANGED, LayerPlan, Plan
from tests import edge_zoo
from tests.export.device.agree import differing, lowered, needs_gcc, random_inputs
from tests.export.device.random_networks import random_network

pytestmark = needs_gcc
NETWORKS = {"residual": edge_zoo.Residual, "joined": edge_zoo.Joined, "mobile": edge_zoo.Mobile}


def written(chance: np.random.Generator) -> NumberFormat:
    """A format of an edge on a grid."""
    if chance.random() < 0.3:
        return Affine(8, symmetric=False, scale=0.0625, zero=int(chance.integers(0, 200)))
    rounding = str(chance.choice(["half_even", "half_up", "floor"]))
    return FixedPoint(int(chance.integers(3, 10)), int(chance.integers(1, 6)), rounding=rounding)


def random_plan(program: Program, chance: np.random.Generator, share: float = 1.0) -> Plan:
    """Edges and weights at random; so many of the edges, and all that products read."""
    edges = edges_of(program.network)
    read = {edges.behind[o.inputs[0]] for found in program.network.product_layers.values() for o in found}
    layers = {
        edge.name: LayerPlan(output=written(chance))
        for edge in edges.edges
        if edge.name in read or chance.random() < share
    }
    for layer in program.network.product_layers:
        weight, bias = FixedPoint(int(chance.integers(2, 8)), 5), FixedPoint(8, 5)
        layers[layer] = replace(layers.get(layer, UNCHANGED), weight=weight, bias=bias)
    return Plan.of(layers)


def agrees(model: nn.Module, inputs: Tensor, seed: int, directory: Path, share: float) -> None:
    program = lowered(model, inputs)
    plan = random_plan(program, np.random.default_rng(seed), share)
    count, _ = differing(program, plan, inputs, directory, PACKS[seed % 2])
    assert count == 0


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_with_several_readers_agree(name: str, seed: int, tmp_path: Path) -> None:
    torch.manual_seed(seed)
    agrees(NETWORKS[name](), random_inputs(30, 3, 8, 8), seed, tmp_path, share=1 - seed / 2)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(60))
def test_networks_at_random_agree(seed: int, tmp_path: Path) -> None:
    model, inputs, _ = random_network(seed)
    agrees(model, inputs, seed, tmp_path, share=float(seed % 3 != 0))


def test_an_int8_plan_of_powers_of_two_agrees(tmp_path: Path) -> None:
    torch.manual_seed(0)
    inputs = random_inputs(40, 3, 8, 8)
    program = lowered(edge_zoo.Residual(), inputs)
    plan = int8_plan_of(program, (inputs,))
    count, network = differing(program, plan, inputs, tmp_path)
    assert count == 0
    assert {buffer for buffer in ("int8_t", "uint8_t") if f"{buffer} *" in network.source}


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (Affine(8), "relu: its output is affine(8): its scales follow from the tensor"),
        (FixedEach(*(np.full(4, n, np.int8) for n in (4, 2, 1))), "relu: its output is fixed_each"),
    ],
)
def test_edges_that_c_cannot_hold_are_refused_by_name(written: NumberFormat, said: str) -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.relu = nn.Linear(4, 4)
            self.last = nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = self.last(torch.relu(self.relu(x)))
            return result

    program = lowered(Named(), random_inputs(3, 4))
    eight = FixedPoint(8, 4)
    plan = Plan.of(
        {
            "input": LayerPlan(output=eight),
            "relu": LayerPlan(weight=eight, output=written),
            "last": LayerPlan(weight=eight),
        }
    )
    with pytest.raises(ExportError, match="relu: its output is") as refused:
        c_network(program, plan, "net")
    assert said in str(refused.value)


def test_a_product_that_reads_what_no_edge_rounds_is_refused_by_name() -> None:
    program = lowered(nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2)), random_inputs(3, 4))
    eight = FixedPoint(8, 4)
    plan = Plan.of(
        {"input": LayerPlan(output=eight), "0": LayerPlan(weight=eight), "2": LayerPlan(weight=eight)}
    )
    with pytest.raises(ExportError, match="result is not rounded"):
        c_network(program, plan, "net")
