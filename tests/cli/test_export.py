"""``narrower export`` and ``narrower latency`` of a run."""

import json
from pathlib import Path

import pytest

from narrower.export.compressed import load_parts
from narrower.graph.folding import folded_layers
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


def test_batch_norms_are_folded_in_what_is_searched_delivered_and_transformed(
    run_narrower: RunNarrower, trained: Path, tmp_path: Path
) -> None:
    config = settings_file(tmp_path / "toy.toml", samples=200, weights="[4, 8]", biases="[8]")
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace('by = "name"', 'by = "name"\nbatch_norm = "fold"'), encoding="utf-8")
    code, out, err = run_narrower("search", "--config", config, "--load", trained, "--json")
    assert code == 0, err
    # weights 232 and biases 21, and the first batch norm (16 channels), which nothing precedes
    assert json.loads(out)["float32"]["model_size"] == 4 * (232 + 21 + 2 * 16)
    for kind in ("onnx", "safetensors"):
        code, out, err = run_narrower("export", "runs/toy", "--trial", "3", "--to", kind, "--json")
        assert (code, json.loads(out)["differing_elements"]) == (0, 0), err
    code, out, err = run_narrower("pick", "runs/toy", "--knee")
    assert code == 0, err
    (tmp_path / "plan.toml").write_text(out, encoding="utf-8")
    code, _, err = run_narrower("transform", "--config", "plan.toml", "--output", "m.safetensors")
    assert code == 0, err
    assert sorted(folded_layers(load_parts("m.safetensors")[0])) == [
        "seq_blocks.3", "seq_blocks.6", "seq_blocks.9",
    ]  # fmt: skip
    code, _, err = run_narrower("search", "--resume", "runs/toy")
    assert code == 0, err


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
