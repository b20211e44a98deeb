"""Artefacts are built and run below names with spaces as well."""

import shutil
from pathlib import Path

import pytest

from tests.conftest import RunNarrower


@pytest.mark.skipif(shutil.which("verilator") is None, reason="Verilator is not installed")
def test_verilog_is_simulated_below_a_name_with_spaces(
    run_narrower: RunNarrower, small_run: object, tmp_path: Path
) -> None:
    pytest.importorskip("da4ml")
    run = tmp_path / "my runs" / "of today"
    shutil.copytree(small_run.path, run)  # type: ignore[attr-defined]
    code, said, wrong = run_narrower("export", run, "--to", "verilog")
    assert code == 0, wrong
    assert "Verilator" in said
    (outputs,) = run.rglob("sim/outputs.mem")
    assert len(outputs.read_text().split()) >= 1000
