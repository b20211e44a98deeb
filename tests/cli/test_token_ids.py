"""Models of token ids go through every command; ids reach their embedding as they are."""

import json
from pathlib import Path

import pytest
import torch

from narrower.data.datasets import load_data_set
from narrower.export.gate_samples import gate_samples
from tests.conftest import RunNarrower

TOKENS = """
import numpy as np
from torch import nn

class Bag(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.hidden, self.head = nn.Embedding(60, 8), nn.Linear(8, 12), nn.Linear(12, 3)

    def forward(self, ids):
        return self.head(self.hidden(self.embedding(ids).mean(1)).relu())

def model():
    return Bag()

def data():
    # Each class has 20 ids of its own, so that a model that sees them learns it within a few epochs.
    chance = np.random.default_rng(0)
    classes = chance.integers(0, 3, 900)
    return chance.integers(0, 20, (900, 12)) + 20 * classes[:, None], classes
"""


@pytest.fixture(autouse=True)
def _tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tokens_of_three.py").write_text(TOKENS, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))


def test_they_are_trained_tested_searched_and_exported(run_narrower: RunNarrower) -> None:
    own = ("tokens_of_three:model", "tokens_of_three:data")
    code, out, err = run_narrower("train", *own, "--max-epochs", "8", "--batch-size", "64", "--json")
    assert code == 0, err
    trained = json.loads(out)
    assert trained["validation_accuracy"] > 0.9  # ids that are standardised and cut say nothing
    weights = trained["best_checkpoint"]
    code, out, _ = run_narrower("test", *own, "--load", weights, "--json")
    assert json.loads(out)["parts"]["test"]["accuracy"] == trained["test_accuracy"]
    code, out, err = run_narrower(
        "search", "--model", own[0], "--dataset", own[1], "--load", weights, "--weight-widths", "4,8",
        "--data-widths", "8", "--fraction", "auto", "--project", "tokens", "--json",
    )  # fmt: skip
    assert code == 0, err
    best = json.loads(out)["members"][0]
    assert best["metrics"]["accuracy"] > 0.9
    code, out, err = run_narrower(
        "export", "runs/tokens", "--trial", best["number"], "--to", "safetensors", "--json"
    )
    assert code == 0, err
    (check,) = json.loads(out)["checks"]
    assert check["samples"] == 10_000
    assert check["differing_elements"] == 0


def test_samples_that_are_made_up_for_the_comparison_hold_ids_that_occur_at_their_place() -> None:
    data = load_data_set("tokens_of_three:data")
    own = torch.cat([part.inputs for part in data.parts.values()])
    (inputs,), own_count = gate_samples(data, 3000)
    assert (len(inputs), own_count, inputs.dtype) == (3000, 900, torch.int64)
    for place in range(12):
        assert set(inputs[:, place].tolist()) == set(own[:, place].tolist())
    known = {tuple(row) for row in own.tolist()}
    assert sum(tuple(row) not in known for row in inputs[900:].tolist()) > 2000
