"""Verilog with a clock gives a sample's outputs a known number of clocks after it, at every clock."""

import re
import shutil
from pathlib import Path

import pytest
import torch

from narrower.data.datasets import DataSet
from narrower.errors import ExportError
from narrower.export.deliver import export_plan
from narrower.export.pipelined import Clock
from narrower.export.subject import Subject, Wishes
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan


@pytest.fixture(scope="module")
def subject(jets: DataSet, jsc_toy: torch.nn.Module) -> Subject:
    half_up = {"rounding": "half_up"}
    layer = LayerPlan(FixedPoint(6, 3, **half_up), FixedPoint(3, 2), FixedPoint(6, 3))  # type: ignore[arg-type]
    return Subject(jsc_toy, "jsc-toy", Plan.of({f"seq_blocks.{n}": layer for n in (2, 5, 8)}), jets)


@pytest.mark.parametrize("stages", [1, 4])
def test_each_clock_gives_the_outputs_of_one_sample(subject: Subject, stages: int, tmp_path: Path) -> None:
    pytest.importorskip("da4ml")
    manifest = export_plan(subject, "verilog", tmp_path, Wishes(samples=1000, clock=Clock(stages)))
    assert manifest.passed
    assert all(check.differing_elements == 0 for check in manifest.checks)
    assert ("Verilator" in {check.runtime for check in manifest.checks}) == bool(shutil.which("verilator"))
    (note,) = [note for note in manifest.notes if "registers" in note]
    assert f"after {stages + 1};" in note
    text = (tmp_path / "verilog" / "src" / "network.v").read_text()
    declared = re.findall(r"reg \[(\d+):0\] (?:stage\d+_inp|model_out)", text)
    assert f"{sum(int(high) + 1 for high in declared):,} registers" in note


def test_logic_that_is_not_so_deep_is_refused(subject: Subject, tmp_path: Path) -> None:
    pytest.importorskip("da4ml")
    with pytest.raises(ExportError, match=r"--pipeline 500: the logic is \d+ adders deep"):
        export_plan(subject, "verilog", tmp_path, Wishes(samples=1000, clock=Clock(500)))
