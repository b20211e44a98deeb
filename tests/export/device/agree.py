"""Compile a network's C and hold its outputs against the evaluation of the plan."""

import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from narrower.evaluate.definition import Definition
from narrower.export.device.compiled import SANITIZERS, Build, run_compiled, write_files
from narrower.export.device.network import CNetwork, c_network
from narrower.export.device.packing import Pack
from narrower.graph.lower import lower
from narrower.graph.program import Program
from narrower.graph.trace import trace
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
CHECKED = Build("gcc", ("-O1", *SANITIZERS))
EIGHT = LayerPlan(FixedPoint(8, 4), FixedPoint(5, 4), FixedPoint(8, 5))


def lowered(model: nn.Module, inputs: Tensor) -> Program:
    return lower(trace(model.eval(), inputs[:2], "net"))


def for_all(program: Program, layer: LayerPlan = EIGHT) -> Plan:
    return Plan.of({n.meta["layer"]: layer for n in program.graph.nodes if "layer" in n.meta})


def differing(
    program: Program, plan: Plan, inputs: Tensor, directory: Path, pack: Pack = "size", build: Build = CHECKED
) -> tuple[int, CNetwork]:
    """How many output elements of C differ, and the network."""
    network = c_network(program, plan, "net", pack)
    write_files(network, directory)
    found = run_compiled(network, directory, build, inputs.numpy())
    own = Definition(program).outputs(plan, inputs).numpy().reshape(len(inputs), -1)
    return int((found != own).sum()), network


def random_inputs(*shape: int, seed: int = 5) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
