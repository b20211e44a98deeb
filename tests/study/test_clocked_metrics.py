"""Registers and nanoseconds of logic with a clock as bounds and objectives of a search."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

import narrower
from narrower.data.datasets import DataSet
from narrower.errors import ExportError
from narrower.export.deliver import export_plan
from narrower.export.pipelined import Clock
from narrower.export.subject import Subject, Wishes
from narrower.plan.plan import plan_from_dict

pytest.importorskip("da4ml")
WIDTHS = {f"seq_blocks.{n}": {"data": [4, 6], "weight": [2, 3], "bias": [6]} for n in (2, 5, 8)}


def test_members_have_the_registers_and_the_latency_of_their_verilog(
    jsc_toy: nn.Module, jets: DataSet, tmp_path: Path
) -> None:
    found = narrower.search(
        jsc_toy, jets, WIDTHS, ["accuracy", "registers"], samples=500, sampler="tpe", n_trials=4,
        constraints={"latency_ns": (None, 60.0)},
    )  # fmt: skip
    assert found.front
    member = found.front[0]
    plan = plan_from_dict(member["plan"])
    subject = Subject(jsc_toy, "jsc-toy", plan, jets)
    manifest = export_plan(subject, "verilog", tmp_path, Wishes(samples=1000, clock=Clock(period_ns=5.0)))
    assert all(check.differing_elements == 0 for check in manifest.checks)
    notes = " ".join(manifest.notes)
    assert f"{member['registers']:,.0f} registers" in notes
    assert f"at a clock of 5 ns: {member['latency_ns']:g} ns" in notes
    assert member["latency_ns"] <= 60
    assert json.loads((tmp_path / "verilog.manifest.json").read_text())["passed"]


def test_a_shorter_period_takes_more_stages_and_one_below_an_adder_is_refused(
    jsc_toy: nn.Module, jets: DataSet, tmp_path: Path
) -> None:
    from narrower.export.luts import clocked
    from narrower.export.own_outputs import own_outputs
    from narrower.graph.lower import lower
    from narrower.graph.trace import trace
    from narrower.plan.formats.fixed import FixedPoint
    from narrower.plan.plan import LayerPlan, Plan

    program = lower(trace(jsc_toy, torch.zeros(2, 16), "toy"))
    layer = LayerPlan(FixedPoint(5, 3, rounding="half_up"), FixedPoint(3, 2), FixedPoint(6, 3))
    plan = Plan.of(dict.fromkeys(WIDTHS, layer))
    outputs = own_outputs(program, plan, jets.validation.inputs[:100])
    slow, fast = (clocked(program, plan, outputs, period) for period in (6.0, 2.5))
    for made, adders in ((slow, 6), (fast, 2)):
        for stage in made.logic.solutions:
            begins = min(op.latency for op in stage.ops)
            assert max(stage.ops[i].latency for i in stage.out_idxs if i >= 0) - begins <= adders
    assert fast.stages > slow.stages
    assert fast.registers > slow.registers
    with pytest.raises(ExportError, match=r"--clock-ns 0.5: an adder is taken for 1 ns"):
        clocked(program, plan, outputs, 0.5)
