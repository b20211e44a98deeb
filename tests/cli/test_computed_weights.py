"""Models whose weights are computed go through every command."""

import json
from pathlib import Path

import pytest

from tests.conftest import RunNarrower

MINE = """
import numpy as np
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm
from tests.computed_zoo import Masked

def normed():
    return nn.Sequential(weight_norm(nn.Linear(6, 8)), nn.ReLU(), nn.Linear(8, 3))

def masked():
    return nn.Sequential(Masked(6, 8), nn.ReLU(), nn.Linear(8, 3))

def blobs():
    chance = np.random.default_rng(0)
    classes = chance.integers(0, 3, 1500)
    return (chance.normal(size=(1500, 6)) + classes[:, None]).astype("float32"), classes
"""

RETRAINED = """
model = "{model}"
dataset = "weights_of_mine:blobs"
project = "mine"
max_epochs = 1
batch_size = 256

[search.search_space]
name = "quantize"
[search.search_space.setup]
by = "name"
[search.search_space.seed.0.config]
name = ["integer"]
data_in_width = [8]
data_in_frac_width = ["NA"]
weight_width = [2, 8]
weight_frac_width = ["auto"]
bias_width = [8]
bias_frac_width = ["NA"]

[search.strategy]
eval_mode = false
[search.strategy.setup]
sampler = "brute_force"
[search.strategy.metrics]
accuracy.direction = "maximize"
model_size.direction = "minimize"
"""


@pytest.fixture(autouse=True)
def _mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "weights_of_mine.py").write_text(MINE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))


def test_one_is_trained_searched_and_exported(run_narrower: RunNarrower) -> None:
    code, out, err = run_narrower(
        "search", "--model", "weights_of_mine:normed", "--dataset", "weights_of_mine:blobs",
        "--objective", "accuracy", "--objective", "model_size", "--data-widths", "8",
        "--weight-widths", "2,8", "--bias-widths", "8", "--project", "mine", "--json",
    )  # fmt: skip
    assert code == 0, err
    members = json.loads(out)["members"]
    sizes = {member["metrics"]["model_size"] for member in members}
    # weights of 48 and 24, biases of 11 bytes: 8 and 8 bits, 2 and 2, or one of each
    assert sizes <= {48 + 24 + 11, 12 + 6 + 11, 48 + 6 + 11, 12 + 24 + 11}
    code, out, err = run_narrower("export", "runs/mine", "--trial", str(members[0]["number"]), "--json")
    assert code == 0, err
    assert json.loads(out)["differing_elements"] == 0


def test_a_parametrized_weight_can_be_trained_in_its_format(run_narrower: RunNarrower) -> None:
    Path("s.toml").write_text(RETRAINED.format(model="weights_of_mine:normed"), encoding="utf-8")
    code, out, err = run_narrower("search", "--config", "s.toml", "--json")
    assert code == 0, err
    assert json.loads(out)["members"]


def test_a_weight_of_the_users_own_code_cannot_be_trained_and_that_is_said(run_narrower: RunNarrower) -> None:
    Path("s.toml").write_text(RETRAINED.format(model="weights_of_mine:masked"), encoding="utf-8")
    for command in (("check", "s.toml"), ("search", "--config", "s.toml")):
        code, _, err = run_narrower(*command)
        assert code == 2
        assert "eval_mode" in err
        assert "0 computes its weight in its own code" in err
