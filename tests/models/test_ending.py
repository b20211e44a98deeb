"""What a model ends in is found however it is written, and its loss has the name of what it is."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from narrower.data.datasets import DataSet
from narrower.models.ending import ending_of
from narrower.tasks.classification.task import CLASSIFICATION
from narrower.training.one_model import train
from narrower.training.recipe import Recipe
from tests.conftest import RunNarrower

Function = Callable[[Tensor], Tensor]


class Ends(nn.Module):
    """A linear layer, then a function; with ``untraceable`` a branch on values that no graph can hold."""

    def __init__(self, end: Function | nn.Module, *, untraceable: bool = False) -> None:
        super().__init__()
        self.first, self.end, self.untraceable = nn.Linear(6, 4), end, untraceable

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        if self.untraceable and float(y.sum()) > 1e9:
            y = y + 1
        output: Tensor = self.end(y)
        return output


class Gate(nn.Module):
    """A sigmoid is the last module that is called, but not the last thing that is computed."""

    def __init__(self) -> None:
        super().__init__()
        self.sigmoid = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        return x * self.sigmoid(x)


SOFTMAX: dict[str, Function | nn.Module] = {
    "module": nn.Softmax(dim=1),
    "module, last dimension": nn.Softmax(dim=-1),
    "nested": nn.Sequential(nn.Sequential(nn.ReLU(), nn.Sequential(nn.Softmax(dim=1)), nn.Identity())),
    "functional": lambda y: F.softmax(y, dim=1),
    "method": lambda y: y.softmax(-1),
    "before a reshape": lambda y: F.softmax(y.view(-1, 1, 4), dim=2).squeeze(1),
    "before flatten": nn.Sequential(nn.Unflatten(1, (4, 1, 1)), nn.Softmax(dim=1), nn.Flatten()),
    "transposed": lambda y: F.softmax(y.t(), dim=0).t(),
    "in double": lambda y: F.softmax(y, dim=1, dtype=torch.float64).float(),
    "of negated scores": lambda y: F.softmin(y, dim=1),
    "before dropout": nn.Sequential(nn.Softmax(dim=1), nn.Dropout()),
    "written out": lambda y: y.exp() / y.exp().sum(dim=1, keepdim=True),
}
LOG_SOFTMAX: dict[str, Function | nn.Module] = {
    "module": nn.LogSoftmax(dim=1),
    "functional": lambda y: F.log_softmax(y, dim=-1),
    "logarithm of softmax": lambda y: torch.log(F.softmax(y, dim=1)),
    "written out": lambda y: y - y.logsumexp(dim=1, keepdim=True),
}
SIGMOID: dict[str, Function | nn.Module] = {
    "module": nn.Sigmoid(),
    "functional": torch.sigmoid,
    "special": torch.special.expit,
    "nested": nn.Sequential(nn.Sequential(nn.Sigmoid()), nn.Flatten()),
}
SCORES: dict[str, Function | nn.Module] = {
    "nothing": lambda y: y,
    "relu": nn.ReLU(),
    "softmax inside": nn.Sequential(nn.Softmax(dim=1), nn.Linear(4, 4)),
    "scaled sigmoid": lambda y: 4 * torch.sigmoid(y),
    "normalised to length one": lambda y: F.normalize(y, dim=1),
    "zeros": torch.zeros_like,
    "a gate": lambda y: y * torch.sigmoid(y),
    "a gate with a module": Gate(),
}
CASES = [
    pytest.param(end, kind, id=f"{kind}: {name}")
    for kind, ends in (
        ("softmax", SOFTMAX),
        ("log_softmax", LOG_SOFTMAX),
        ("sigmoid", SIGMOID),
        ("scores", SCORES),
    )
    for name, end in ends.items()
]
INPUTS = torch.randn(70, 6, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("end", "kind"), CASES)
def test_the_ending_is_found(end: Function | nn.Module, kind: str) -> None:
    torch.manual_seed(0)
    assert ending_of(Ends(end), INPUTS).kind == kind


@pytest.mark.parametrize(("end", "kind"), CASES)
def test_the_ending_is_found_without_a_graph(end: Function | nn.Module, kind: str) -> None:
    """Then a function that is no module shows in the outputs; a sigmoid does not."""
    torch.manual_seed(0)
    expected = "scores" if kind == "sigmoid" and not isinstance(end, nn.Module) else kind
    assert ending_of(Ends(end, untraceable=True), INPUTS).kind == expected


def warning_of(model: nn.Module) -> str:
    return CLASSIFICATION.loss(ending_of(model, INPUTS)).warning or ""


def test_a_softmax_over_samples_is_called_that() -> None:
    warning = warning_of(Ends(nn.Softmax(dim=0)))
    assert "softmax over samples (layer 'end'" in warning


def test_warnings_name_the_layer_and_what_to_change() -> None:
    model = nn.Sequential(nn.Linear(6, 4), nn.Softmax(dim=1))
    warning = warning_of(model)
    assert "ends in softmax (layer '1'" in warning
    assert "cross entropy of softmax applied twice" in warning
    assert "return the scores before it, or log_softmax" in warning
    assert warning_of(nn.Sequential(nn.Linear(6, 4), nn.LogSoftmax(dim=1))) == ""


def test_log_softmax_is_trained_with_the_negative_log_likelihood(tmp_path: Path, jets: DataSet) -> None:
    """The first loss that is logged is that of the untrained model on the first batch."""
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(16, 5), nn.LogSoftmax(dim=1))
    small = DataSet(
        "s", jets.train.first(64), jets.validation.first(64), jets.test.first(8), jets.output_names
    )
    settings = Recipe(max_epochs=1, batch_size=64, log_every_n_steps=1)
    train(model, small, settings, tmp_path, show_progress=False)
    with (tmp_path / "logs" / "csv" / "metrics.csv").open() as file:
        logged = [float(row["loss"]) for row in csv.DictReader(file) if row["loss"]]
    chosen = model(small.train.inputs).gather(1, small.train.targets[:, None])
    assert logged[0] == pytest.approx(-float(chosen.mean().detach()), abs=1e-5)


MINE = """
from torch import nn

def scores():
    return nn.Sequential(nn.Linear(16, 5))

def probabilities():
    return nn.Sequential(nn.Linear(16, 5), nn.Softmax(dim=1))

def logarithms():
    return nn.Sequential(nn.Linear(16, 5), nn.LogSoftmax(dim=1))
"""


def test_every_command_says_what_the_loss_is(
    run_narrower: RunNarrower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path.cwd()))
    Path("endings.py").write_text(MINE, encoding="utf-8")
    said = "loss is the cross entropy of softmax applied twice"
    accuracies = {}
    for name in ("scores", "probabilities", "logarithms"):
        model = f"endings:{name}"
        code, out, err = run_narrower(
            "train", model, "jets", "--max-epochs", "1", "--project", name, "--json"
        )
        assert (code, (said in _flat(err))) == (0, name == "probabilities"), err
        weights = f"runs/{name}/checkpoints/best.ckpt"
        code, out, err = run_narrower(
            "test", model, "jets", "--load", "runs/scores/checkpoints/best.ckpt", "--json"
        )
        found = json.loads(out)
        accuracies[name] = found["parts"]["test"]["accuracy"]
        assert (code, (said in _flat(err))) == (0, name == "probabilities"), err
        code, out, err = run_narrower(
            "search", "--model", model, "--dataset", "jets", "--load", weights, "--weight-widths", "8",
            "--data-widths", "8", "--samples", "100", "--project", f"search-{name}",
        )  # fmt: skip
        assert (code, (said in _flat(err))) == (0, name == "probabilities"), err
        record = json.loads(Path(f"runs/search-{name}/front.json").read_text(encoding="utf-8"))
        assert record["loss"] == found["loss"]
        assert ("negative log likelihood" in err) == (name == "logarithms")
    assert len(set(accuracies.values())) == 1


def _flat(text: str) -> str:
    return " ".join(text.split()).replace("it is the cross", "loss is the cross")
