"""Exported programs as models, and which are refused; models of packages that are not here."""

import json
import pickle
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from narrower.errors import CheckpointError, MissingExtraError, ModelError
from narrower.models.build import build_model
from tests.conftest import RunNarrower

NET = nn.Sequential(nn.Linear(16, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 5)).eval()
SEARCH = """
model = "net.pt2"
dataset = "jets"
project = "p"
max_epochs = 1
[search.search_space]
name = "quantize"
setup = { by = "type" }
seed.linear.config = { name = ["integer"], data_in_width = [8], weight_width = [3, 8], bias_width = [8] }
[search.strategy]
setup = { sampler = "brute_force" }
sw_runner.basic_evaluation.num_samples = 500
metrics = { accuracy = {}, bitops = {} }
"""


def save(path: Path, *, is_open: bool = True) -> None:
    shapes = ({0: torch.export.Dim("batch")},) if is_open else None
    torch.export.save(torch.export.export(NET, (torch.zeros(3, 16),), dynamic_shapes=shapes), path)


def test_an_exported_program_computes_what_its_model_did_and_can_be_trained(tmp_path: Path) -> None:
    save(tmp_path / "net.pt2")
    model = build_model(str(tmp_path / "net.pt2"))
    inputs = torch.randn(7, 16)
    torch.testing.assert_close(model(inputs), NET(inputs), rtol=0, atol=0)
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == 16 * 8 + 8 + 16 + 8 * 5 + 5
    model.train()(inputs).sum().backward()


def test_it_is_searched_and_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_narrower: RunNarrower
) -> None:
    monkeypatch.chdir(tmp_path)
    save(Path("net.pt2"))
    Path("run.toml").write_text(SEARCH)
    code, _, err = run_narrower("search", "--config", "run.toml")
    assert code == 0, err
    number = str(json.loads(Path("runs/p/front.json").read_text())["members"][0]["number"])
    code, out, err = run_narrower("export", "runs/p", "--trial", number, "--samples", "1000", "--json")
    assert code == 0, err
    assert json.loads(out)["passed"]


class Evil:
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return Path.touch, (Path("run_by_a_pickle"),)  # type: ignore[return-value]


def changed(path: Path, ending: str, change: Callable[[bytes], bytes]) -> None:
    """The archive with another content of one of its files."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    assert any(name.endswith(ending) for name in files)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            archive.writestr(name, change(content) if name.endswith(ending) else content)


@pytest.mark.parametrize(
    ("ending", "change", "said"),
    [
        (
            "model_weights_config.json",
            lambda c: c.replace(b'"use_pickle": false', b'"use_pickle": true', 1),
            "pickles, which could run code",
        ),
        ("sample_inputs/model.pt", lambda _: pickle.dumps(Evil()), "example inputs are more than tensors"),
        (
            "models/model.json",
            lambda c: c.replace(b"torch.ops.aten.relu.default", b"torch.hub.load"),
            "calls 'torch.hub.load'",
        ),
        (
            "models/model.json",
            lambda c: c.replace(b"torch.ops.aten.relu.default", b"_operator.methodcaller"),
            "calls '_operator.methodcaller'",
        ),
        (
            "models/model.json",
            lambda c: c.replace(b'"expr_str": "', b'"expr_str": "__import__(1) + ', 1),
            "which is no arithmetic",
        ),
        ("models/model.json", lambda c: c.replace(b'"relu"', b'"relu;print()"'), "something is called"),
        ("models/model.json", lambda _: b"{", "cannot be read"),
    ],
)
def test_what_could_run_code_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, change: Callable[[bytes], bytes], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    save(Path("net.pt2"))
    changed(Path("net.pt2"), ending, change)
    with pytest.raises(CheckpointError, match=said.replace("(", "\\(")):
        build_model("net.pt2")
    assert not Path("run_by_a_pickle").exists()


def test_what_is_no_program_is_said(tmp_path: Path) -> None:
    (tmp_path / "text.pt2").write_text("no archive")
    with pytest.raises(CheckpointError, match="cannot be read as an exported program"):
        build_model(str(tmp_path / "text.pt2"))
    torch.save(NET.state_dict(), tmp_path / "weights.pt2")
    with pytest.raises(CheckpointError, match="no exported program"):
        build_model(str(tmp_path / "weights.pt2"))
    with pytest.raises(ModelError, match="there is no such file"):
        build_model(str(tmp_path / "absent.pt2"))
    save(tmp_path / "three.pt2", is_open=False)
    with pytest.raises(ModelError, match="one number of samples"):
        build_model(str(tmp_path / "three.pt2"))


@pytest.mark.parametrize("package", ["timm", "torchvision"])
def test_models_of_packages_need_them(package: str) -> None:
    if find_spec(package) is None:
        with pytest.raises(MissingExtraError, match=rf"pip install 'narrower\[{package}\]'"):
            build_model(f"{package}:resnet18")
        return
    model = build_model(f"{package}:resnet18")
    assert model.eval()(torch.zeros(2, 3, 64, 64)).shape == (2, 1000)
    with pytest.raises(ModelError, match="did you mean 'resnet18'"):
        build_model(f"{package}:resnet81")
