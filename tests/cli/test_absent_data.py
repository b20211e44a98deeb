"""Without the data, `check` says which file is missing and checks the rest; `search` says what to do."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from narrower.data import openml
from tests.cli.settings_file import settings_file
from tests.conftest import RunNarrower


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(openml, "URL", "http://127.0.0.1:9/nobody-listens")
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "downloads"))


def file_for(data_set: str, model: str = "jsc-toy", **changes: object) -> Path:
    path = settings_file(Path("a.toml"), **changes)  # type: ignore[arg-type]
    text = path.read_text(encoding="utf-8")
    text = text.replace('"jets"', f'"{data_set}"').replace('"jsc-toy"', f'"{model}"', 1)
    path.write_text(text, encoding="utf-8")
    return path


def test_check_warns_with_file_and_place_and_counts_as_with_data(run_narrower: RunNarrower) -> None:
    code, out, err = run_narrower("check", file_for("jsc"), "--json")
    assert code == 0
    assert "warning: dataset: the data set 'jsc' (OpenML 42468) is not here" in err
    assert "nonu_truth.z below the working directory" in err
    assert str(Path("downloads").resolve() / "narrower-openml-42468.npz") in err
    absent = json.loads(out)
    assert absent["seconds"] is None
    _, out, err = run_narrower("check", file_for("jets"), "--json")
    assert "is not here" not in err
    present = json.loads(out)
    for key in ("space_size", "trials", "ranges", "cut"):
        assert absent[key] == present[key]
    assert not Path("downloads").exists()


@pytest.mark.parametrize(("name", "folder"), [("cifar10", "cifar-10"), ("cifar100", "cifar-100")])
def test_check_knows_the_shape_of_images_that_are_not_here(
    run_narrower: RunNarrower, name: str, folder: str
) -> None:
    config = file_for(name, "resnet20", layers=("linear",))
    config.write_text(
        config.read_text(encoding="utf-8").replace("seed.linear", "seed.stem_convolution"), encoding="utf-8"
    )
    code, _, err = run_narrower("check", config)
    assert f"data/{folder}" in err
    assert f"{folder}-binary.tar.gz" in err
    assert code == 2
    assert "resnet20 has no layer 'stem_convolution'" in err


MISTAKES = [
    ({"layers": ("seq_blocks_3",)}, "seq_blocks_3: seq_blocks.3 has no operands"),
    ({"samples": 132_801}, "the validation part of 'jsc' has 132800 samples"),
    ({"cost": "bitop"}, "'bitops'"),
    ({"setup": "n_trial = 3"}, "'n_trials'"),
]


@pytest.mark.parametrize(("changes", "said"), MISTAKES)
def test_what_else_is_wrong_in_the_file_is_found_without_the_data(
    run_narrower: RunNarrower, changes: dict[str, object], said: str
) -> None:
    code, _, err = run_narrower("check", file_for("jsc", **changes))
    assert code == 2
    assert said in err.splitlines()[-1]


def test_a_model_that_does_not_take_the_data_and_weights_that_do_not_fit_are_found(
    run_narrower: RunNarrower, trained: Path
) -> None:
    code, _, err = run_narrower("check", file_for("cifar10"))
    assert (code, "does not run on data set 'cifar10'" in err) == (2, True)
    code, _, err = run_narrower("check", file_for("jsc"), "--load", trained)
    assert code == 0
    layers = ("seq_blocks_2",)
    code, _, err = run_narrower("check", file_for("jsc", "jsc-tiny", layers=layers), "--load", trained)
    assert code == 2
    assert "best.ckpt" in err.splitlines()[-1]


def test_search_ends_with_the_ways_out_and_writes_nothing(run_narrower: RunNarrower) -> None:
    code, _, err = run_narrower("search", "--config", file_for("jsc"))
    assert code == 2
    assert "a.toml:3: dataset: the data set 'jsc'" in err
    for way_out in ("--data-path", "data_path", "'jets', which ships with the package"):
        assert way_out in err
    assert not Path("runs").exists()


def test_a_data_path_that_is_not_here_is_a_warning_of_check_and_one_that_is_wrong_an_error(
    run_narrower: RunNarrower,
) -> None:
    config = file_for("jsc")
    code, _, err = run_narrower("check", config, "--data-path", "/elsewhere/jets.z")
    assert (code, "data_path: /elsewhere/jets.z: no such file" in err) == (0, True)
    Path("jets.z").write_text("a,b\n1,2\n", encoding="utf-8")
    code, _, err = run_narrower("check", config, "--data-path", "jets.z")
    assert (code, "jets.z: none of the columns" in err) == (2, True)


def test_the_file_of_an_option_takes_the_place_of_the_settings_own(run_narrower: RunNarrower) -> None:
    chance = np.random.default_rng(0)
    np.savez("jets.npz", features=chance.normal(size=(2000, 16)), labels=np.arange(2000) % 5)
    config = file_for("jsc", layers=("seq_blocks_8",), weights="[8]", biases="[8]", samples=100)
    text = config.read_text(encoding="utf-8")
    config.write_text('data_path = "/elsewhere/jets.z"\n' + text, encoding="utf-8")
    code, out, _ = run_narrower("check", config, "--data-path", "jets.npz", "--json")
    assert code == 0
    assert json.loads(out)["seconds"] is not None
    code, out, err = run_narrower("search", "--config", config, "--data-path", "jets.npz", "--json")
    assert code == 0, err
    settings = Path(json.loads(out)["run"]) / "settings.toml"
    assert 'data_path = "jets.npz"' in settings.read_text(encoding="utf-8")
    assert run_narrower("search", "--resume", settings.parent)[0] == 0


def test_check_says_that_it_imports_the_users_module(run_narrower: RunNarrower) -> None:
    Path("module_to_check.py").write_text(
        "from torch import nn\ndef model():\n    return nn.Sequential(nn.Linear(16, 5))\n", encoding="utf-8"
    )
    sys.modules.pop("module_to_check", None)
    code, _, err = run_narrower("check", file_for("jets", "module_to_check:model", layers=("0",)))
    assert code == 0, err
    assert err.splitlines()[0] == "note: imports your module 'module_to_check', whose code runs"
    _, _, err = run_narrower("check", file_for("jets"))
    assert "your module" not in err


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    """`narrower check FILE | head -1`: the pipe closes while the table is printed."""
    config = file_for("jets", layers=("seq_blocks_8",), samples=16)
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "narrower", "check", config]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
