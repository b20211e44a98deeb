"""Which rounding a search uses, and that logic is built with it."""

import json
import shutil
from pathlib import Path

import pytest

from narrower.settings.load import load_settings
from narrower.store.run_directory import RunDirectory
from tests.cli.settings_file import settings_file
from tests.conftest import RunNarrower

PLAIN = """
from torch import nn

def model():
    return nn.Sequential(nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 5))
"""
OPTIONS = (
    *("--model", "plain:model", "--dataset", "jets", "--data-widths", "4,8", "--weight-widths", "3,6"),
    *("--sampler", "random", "--trials", "4", "--samples", "200", "--seed", "1", "--json"),
)


@pytest.fixture
def plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network without batch norms, whose sums fall on ties of the layer that follows."""
    pytest.importorskip("da4ml")
    (tmp_path / "plain.py").write_text(PLAIN, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))


def _plans(out: str) -> str:
    return json.dumps([member["plan"] for member in json.loads(out)["members"]])


@pytest.mark.usefixtures("plain")
def test_every_plan_has_look_up_tables_because_ties_go_upwards(run_narrower: RunNarrower) -> None:
    code, out, err = run_narrower("search", *OPTIONS, "--objective", "accuracy", "--objective", "luts")
    assert code == 0, err
    assert "ties go upwards (half_up)" in err
    assert json.loads(out)["summary"]["failed"] == 0
    assert "rounding=half_up" in _plans(out)
    (run,) = Path("runs").iterdir()
    assert load_settings(run / "settings.toml").settings.search.search_space.setup.rounding == "half_up"
    number = str(json.loads(out)["members"][0]["number"])
    for kind in ("verilog", "onnx", "safetensors"):
        code, exported, err = run_narrower("export", run, "--trial", number, "--to", kind, "--json")
        assert code == 0, err
        checks = json.loads(exported)["checks"]
        assert [check["differing_elements"] for check in checks] == [0] * len(checks)
        if kind == "verilog" and shutil.which("verilator"):
            assert checks[0]["runtime"] == "Verilator"
    code, _, err = run_narrower("export", run, "--trial", number, "--to", "qonnx")
    assert (code, "half_even and floor" in err) == (2, True)


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("rounding", ["half_even", "floor"])
def test_a_rounding_that_is_asked_for_is_taken(run_narrower: RunNarrower, rounding: str) -> None:
    code, out, err = run_narrower(
        "search", *OPTIONS, "--objective", "accuracy", "--objective", "bitops", "--rounding", rounding
    )
    assert code == 0, err
    assert "rounding" not in err
    assert ("rounding=floor" in _plans(out)) == (rounding == "floor")


def test_a_file_names_the_rounding_and_one_without_keeps_ties_to_even(
    run_narrower: RunNarrower, trained: Path, tmp_path: Path
) -> None:
    config = settings_file(tmp_path / "toy.toml", samples=200, weights="[4]", biases="[8]")
    code, out, err = run_narrower("search", "--config", config, "--load", trained, "--json")
    assert (code, "rounding" in _plans(out)) == (0, False), err
    assert "rounding" not in (Path("runs/toy") / "settings.toml").read_text(encoding="utf-8")
    text = config.read_text(encoding="utf-8").replace('project = "toy"', 'project = "up"')
    config.write_text(text.replace('by = "name"', 'by = "name"\nrounding = "half_up"'), encoding="utf-8")
    code, out, err = run_narrower("search", "--config", config, "--load", trained, "--json")
    assert (code, "rounding=half_up" in _plans(out)) == (0, True), err
    config.write_text(text.replace('by = "name"', 'by = "name"\nrounding = "half_odd"'), encoding="utf-8")
    code, _, err = run_narrower("check", config)
    assert (code, "half_even, half_up, floor" in err) == (2, True)


def test_an_older_run_that_counts_luts_goes_on_as_it_began(
    run_narrower: RunNarrower, trained: Path, tmp_path: Path
) -> None:
    """Its settings name no rounding, because there was one alone."""
    pytest.importorskip("da4ml")
    config = settings_file(tmp_path / "toy.toml", samples=100, weights="[4]", biases="[8]", cost="luts")
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace('by = "name"', 'by = "name"\nrounding = "half_even"'), encoding="utf-8")
    code, _, err = run_narrower("search", "--config", config, "--load", trained)
    assert code == 0, err
    settings = RunDirectory(Path("runs/toy")).settings
    lines = settings.read_text(encoding="utf-8").splitlines(keepends=True)
    older = [line for line in lines if not line.startswith("rounding")]
    assert len(older) == len(lines) - 1
    settings.write_text("".join(older), encoding="utf-8")
    code, _, err = run_narrower("search", "--resume", "runs/toy")
    assert (code, "ties go upwards" in err) == (0, False), err
