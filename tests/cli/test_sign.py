"""Data without a sign: which plans have them, what old files keep, and what artefacts make of them."""

import json
from pathlib import Path

import pytest

from narrower.settings.load import load_settings
from tests.cli.settings_file import settings_file
from tests.conftest import RunNarrower


def test_a_search_with_automatic_signs_exports_what_it_scored(
    run_narrower: RunNarrower, trained: Path
) -> None:
    pytest.importorskip("da4ml")
    code, out, err = run_narrower(
        *("search", "--model", "jsc-toy", "--dataset", "jets", "--load", trained),
        *("--data-widths", "4", "--weight-widths", "3,4", "--fraction", "auto", "--sign", "auto"),
        *("--overflow", "saturate_symmetric", "--objective", "accuracy", "--objective", "luts"),
        *("--sampler", "random", "--trials", "3", "--samples", "200", "--json"),
    )
    assert code == 0, err
    members = json.loads(out)["members"]
    for layer in (layer for member in members for layer in member["plan"].values()):
        assert layer["data"].startswith("ufixed(4,")
        assert "overflow" not in layer["data"]  # nothing is below zero
        assert layer["weight"].startswith("fixed(")
        assert layer["weight"].endswith("overflow=saturate_symmetric)")
    (run,) = Path("runs").iterdir()
    assert load_settings(run / "settings.toml").settings.search.search_space.setup.sign == "auto"
    for kind in ("verilog", "onnx", "safetensors"):
        code, exported, err = run_narrower(
            "export", run, "--trial", str(members[0]["number"]), "--to", kind, "--json"
        )
        assert code == 0, err
        checks = json.loads(exported)["checks"]
        assert [check["differing_elements"] for check in checks] == [0] * len(checks)


def test_a_file_that_does_not_say_has_signs_everywhere(
    run_narrower: RunNarrower, trained: Path, tmp_path: Path
) -> None:
    config = settings_file(tmp_path / "toy.toml", samples=200, weights="[4]", biases="[8]")
    for sign in (None, "signed", "auto"):
        text = config.read_text(encoding="utf-8").replace('project = "toy"', f'project = "{sign}"')
        said = f'by = "name"\nsign = "{sign}"' if sign else 'by = "name"'
        asked = tmp_path / "asked.toml"
        asked.write_text(text.replace('by = "name"', said), encoding="utf-8")
        code, out, err = run_narrower("search", "--config", asked, "--load", trained, "--json")
        assert (code, "ufixed" in out) == (0, sign == "auto"), err


def test_signs_mean_nothing_where_no_layer_is_quantized(run_narrower: RunNarrower, tmp_path: Path) -> None:
    config = settings_file(tmp_path / "toy.toml", samples=200)
    text = config.read_text(encoding="utf-8").replace('by = "name"', 'by = "name"\nsign = "auto"')
    config.write_text(text.replace('name = "quantize"', 'name = "resize"'), encoding="utf-8")
    code, _, err = run_narrower("check", config)
    assert code == 2
    assert "search.search_space.setup.sign: found 'auto'; no layer is quantized" in err
