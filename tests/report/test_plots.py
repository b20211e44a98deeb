from dataclasses import replace
from pathlib import Path

import matplotlib.image
import pytest

from narrower.errors import OutputError
from narrower.report.findings import read_findings
from narrower.report.plots import write_plots
from tests.report.made_up_run import write_run


def test_a_picture_is_written_for_each_plot(tmp_path: Path) -> None:
    findings = read_findings(write_run(tmp_path / "run", layers=("$stem$", "head")))
    paths = write_plots(findings, tmp_path / "plots")
    assert [path.stem for path in paths] == ["front-bitops", "widths", "sensitivity", "layers", "hypervolume"]
    for path in paths:
        pixels = matplotlib.image.imread(path)
        assert pixels.shape[1] == 1200
        assert pixels[..., :3].std() > 0.01  # something is drawn on it


def test_what_does_not_apply_is_left_out(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", change=lambda r: replace(r, members=(), sum_direction="maximize"))
    paths = write_plots(read_findings(run), tmp_path / "plots")
    assert [path.stem for path in paths] == ["front-bitops", "sensitivity"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_plots(read_findings(write_run(tmp_path / "run")), tmp_path / "file")
