"""Each task from end to end: checked, trained, searched, shown in a report, exported with its gate, "
"finetuned."""

import json
from pathlib import Path

import pytest

from tests.conftest import RunNarrower

MODULE = '''
import numpy as np
import torch
from torch import nn

X = np.random.default_rng(0).normal(size=(600, 6)).astype("float32")


class Flat(nn.Module):
    """One logit of each sample, without a second dimension."""

    def __init__(self):
        super().__init__()
        self.inner, self.last = nn.Linear(6, 8), nn.Linear(8, 1)

    def forward(self, x):
        return self.last(self.inner(x).relu())[:, 0]


class Words(nn.Module):
    def __init__(self, tokens=12):
        super().__init__()
        self.table, self.inner, self.last = nn.Embedding(tokens, 8), nn.Linear(8, 8), nn.Linear(8, tokens)

    def forward(self, ids):
        return self.last(self.inner(self.table(ids)).relu())


def perceptron(outputs):
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, outputs))


def logit(): return perceptron(1)
def flat(): return Flat()
def three(): return perceptron(3)
def autoencoder(): return nn.Sequential(nn.Linear(6, 3), nn.ReLU(), nn.Linear(3, 6))
def words(): return Words()
def pixels(): return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 3, 1))
def two_classes(): return X, (X[:, 0] + X[:, 1] > 0).astype(int)
def labels(): return X, np.stack([X[:, 0] > 0, X[:, 1] > 0.5, X[:, 2] > 0], 1).astype(int)
def numbers(): return X, np.stack([X[:, 0] * 2, X[:, 1] - X[:, 2]], 1)
def inputs(): return X
def kinds():
    chance = np.random.default_rng(1)
    odd = np.arange(600) % 5 == 0
    low = chance.normal(size=(600, 2)) @ chance.normal(size=(2, 6))
    return np.where(odd[:, None], 3 * X, low).astype("float32"), odd.astype(int)
def pictures():
    chance = np.random.default_rng(2)
    x = chance.normal(size=(200, 1, 6, 6)).astype("float32")
    return x, (x[:, 0] > 0).astype(int) + (x[:, 0] > 1)
def sequences(): return np.cumsum(np.random.default_rng(3).integers(1, 3, (300, 8)), 1) % 11
def tagged():
    ids = sequences()
    return ids, ids % 3
'''
LAYERS = "{ name = ['integer'], data_in_width = [8], weight_width = [3, 8], bias_width = [8] }"
CASES = {
    "classification": ("flat", "two_classes", "accuracy"),
    "regression": ("perceptron2", "numbers", "mse"),
    "multi-label": ("three", "labels", "label_accuracy"),
    "reconstruction": ("autoencoder", "inputs", "mse"),
    "anomalies": ("autoencoder", "kinds", "auc"),
    "segmentation": ("pixels", "pictures", "mean_iou"),
    "language-modelling": ("words", "sequences", "perplexity"),
    "masked-language-modelling": ("words", "sequences", "token_accuracy"),
    "token-classification": ("words", "tagged", "token_accuracy"),
}


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    Path("tasked.py").write_text(MODULE + "def perceptron2(): return perceptron(2)\n")
    monkeypatch.delitem(__import__("sys").modules, "tasked", raising=False)


def settings(model: str, data: str, task: str, metric: str) -> None:
    kind = "conv2d" if model == "pixels" else "linear"
    Path("run.toml").write_text(f"""
model = "tasked:{model}"
dataset = "tasked:{data}"
task = "{task}"
project = "p"
max_epochs = 2
batch_size = 32
[search.search_space]
name = "quantize"
setup = {{ by = "type" }}
seed.{kind}.config = {LAYERS}
[search.strategy]
setup = {{ sampler = "brute_force" }}
metrics = {{ {metric} = {{}}, bitops = {{}} }}
""")


@pytest.mark.parametrize("task", CASES)
def test_a_task_works_from_end_to_end(task: str, run_narrower: RunNarrower) -> None:
    settings(*CASES[task][:2], task, CASES[task][2])
    for command in (["check", "run.toml"], ["search", "--config", "run.toml"], ["report", "runs/p"]):
        code, _, err = run_narrower(*command)
        assert code == 0, err
    front = json.loads(Path("runs/p/front.json").read_text())
    assert front.get("task", "classification") == task
    assert len(front["members"]) >= 1
    number = str(front["members"][0]["number"])
    code, out, err = run_narrower("export", "runs/p", "--trial", number, "--samples", "1000", "--json")
    assert code == 0, err
    assert json.loads(out)["passed"]
    code, _, err = run_narrower("finetune", "runs/p", "--max-epochs", "1")
    assert code == 0, err


def test_of_several_metrics_each_can_lead_a_search(run_narrower: RunNarrower) -> None:
    settings("autoencoder", "kinds", "anomalies", "background_rejection")
    code, _, err = run_narrower("search", "--config", "run.toml")
    assert code == 0, err


@pytest.mark.parametrize(
    ("model", "data", "task", "metric", "said"),
    [
        ("three", "two_classes", "multi-label", "auc", "the labels have shape (600,); expected [N, K]"),
        ("logit", "labels", "multi-label", "auc", "needed is a logit for each label: (2, 3)"),
        ("autoencoder", "sequences", "reconstruction", "mse", "the inputs are whole numbers"),
        ("words", "inputs", "language-modelling", "perplexity", "the tokens of sequences"),
        ("autoencoder", "kinds", "anomalies", "accuracy", "its metrics: auc, loss, average_precision"),
        ("three", "labels", "multilabel", "auc", "did you mean 'multi-label'"),
        ("pixels", "pictures", "segmentation", "dise", "did you mean 'dice'"),
    ],
)
def test_what_does_not_fit_is_one_sentence(
    model: str, data: str, task: str, metric: str, said: str, run_narrower: RunNarrower
) -> None:
    settings(model, data, task, metric)
    code, _, err = run_narrower("check", "run.toml")
    assert code == 2
    assert said in err
    assert "Traceback" not in err


def test_a_probability_in_place_of_a_logit_is_refused(run_narrower: RunNarrower) -> None:
    Path("tasked.py").write_text(MODULE + "def sure(): return nn.Sequential(perceptron(1), nn.Sigmoid())\n")
    settings("sure", "two_classes", "classification", "accuracy")
    code, _, err = run_narrower("check", "run.toml")
    assert code == 2
    assert "needed are the logits before it" in err
