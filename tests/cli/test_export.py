"""``narrower export`` and ``narrower latency`` of a run."""

import json
from pathlib import Path

import pytest

from tests.cli.settings_file import settings_file
from tests.conftest import RunNarrower


@pytest.fixture
def searched(run_narrower: RunNarrower, trained: Path, tmp_path: Path) -> Path:
    config = settings_file(tmp_path / "toy.toml", samples=200, weights="[4, 8]", biases="[8]")
    code, _, err = run_narrower("search", "--config", config, "--load", trained)
    assert code == 0, err
    return Path("runs/toy")


@pytest.mark.parametrize("kind", ["onnx", "safetensors"])
def test_an_artefact_is_run_and_compared(run_narrower: RunNarrower, searched: Path, kind: str) -> None:
    code, out, err = run_narrower("export", searched, "--trial", "3", "--to", kind, "--json")
    assert code == 0, err
    manifest = json.loads(out)
    assert manifest["passed"] is True
    assert list(searched.glob("exports/trial-3/*"))


def test_latency_is_measured_beside_float32(run_narrower: RunNarrower, searched: Path) -> None:
    code, out, err = run_narrower("latency", searched, "--trial", "3", "--limit", "0.2", "--json")
    assert code == 0, err
    assert "ratio" in out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--trial", "3", "--to", "onx"], ["onx", "onnx"]),
        (["--trial", "99999"], ["99999"]),
    ],
)
def test_mistakes(run_narrower: RunNarrower, searched: Path, options: list[str], words: list[str]) -> None:
    code, _, err = run_narrower("export", searched, *options)
    assert code == 2
    assert all(word in err for word in words), err
