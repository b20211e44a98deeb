"""Every settings file in configs/ is valid as it stands, and a short search with it works."""

import json
from pathlib import Path

import pytest

from tests.conftest import RunNarrower
from tests.docs.console import ROOT, fast

CONFIGS = sorted((ROOT / "configs").glob("*.toml"))


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_a_shipped_settings_file_works(config: Path, run_narrower: RunNarrower) -> None:
    code, _, err = run_narrower("check", config)
    assert code == 0, err
    Path("fast.toml").write_text(fast(config, 3), encoding="utf-8")
    code, out, err = run_narrower("search", "--config", "fast.toml")
    assert code == 0, err
    assert "front of" in out


OF_TASKS = [path for path in CONFIGS if path.stem.startswith("toy-")]
QUICK = ("toy-language", "toy-segmentation")


@pytest.mark.parametrize(
    "config",
    [pytest.param(path, marks=[pytest.mark.slow] * (path.stem not in QUICK)) for path in OF_TASKS],
    ids=lambda path: path.stem,
)
def test_of_each_task_a_search_goes_on_to_what_is_delivered(config: Path, run_narrower: RunNarrower) -> None:
    Path("fast.toml").write_text(fast(config, 3), encoding="utf-8")
    assert run_narrower("search", "--config", "fast.toml")[0] == 0
    (run,) = Path("runs").iterdir()
    code, out, err = run_narrower("finetune", run, "--front", "--max-epochs", "1")
    assert code == 0, out + err
    leading = json.loads((run / "front.json").read_text())["objectives"][0]["metric"]
    code, out, err = run_narrower("report", run)
    assert code == 0, err
    assert leading in (run / "report.html").read_text()
    code, out, err = run_narrower("pick", run, "--max", "bitops=1e12")
    assert code == 0, err
    Path("plan.toml").write_text(out, encoding="utf-8")
    code, _, err = run_narrower("transform", "--config", "plan.toml", "--output", "planned.safetensors")
    assert code == 0, err
    assert Path("planned.safetensors").stat().st_size > 0
    code, out, err = run_narrower("export", run, "--to", "onnx", "--json")
    assert code == 0, err  # what differs from what was scored is refused
    assert list((run / "exports").rglob("*.onnx"))
