"""Outputs that are no numbers are said, with the layer where they begin."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from narrower.data.parts import Part
from narrower.errors import ModelError
from narrower.models.build import build_model
from narrower.models.checkpoints import load_weights
from narrower.models.finite import check_finite
from tests.conftest import RunNarrower


class Root(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.sqrt()


def part(inputs: torch.Tensor) -> Part:
    return Part(inputs, torch.zeros(len(inputs), dtype=torch.long))


def test_the_first_layer_and_the_number_of_samples_are_named() -> None:
    model = nn.Sequential(nn.Identity(), nn.Sequential(nn.Identity(), Root()), nn.Linear(2, 2))
    inputs = torch.ones(2000, 2)
    check_finite(model, part(inputs), "the test part")
    inputs[[3, 1500]] = -1
    with pytest.raises(ModelError, match=r"for 2 of 2,000 samples of the test part.*is '1\.1' \(Root\)"):
        check_finite(model, part(inputs), "the test part")
    inputs[3] = torch.inf
    with pytest.raises(ModelError, match="samples themselves"):
        check_finite(model, part(inputs), "the test part")


def test_commands_print_no_accuracy(run_narrower: RunNarrower, trained: Path) -> None:
    state = load_weights(build_model("jsc-toy"), trained).state_dict()
    state["seq_blocks.3.running_var"].fill_(-1)  # its root is no number
    torch.save(state, "broken.pt")
    for command in (
        ("test", "jsc-toy", "jets"),
        ("profile", "jsc-toy", "jets", "--latency"),
        ("search", "--model", "jsc-toy", "--dataset", "jets", "--weight-widths", "8", "--data-widths", "8"),
    ):
        code, out, err = run_narrower(*command, "--load", "broken.pt")
        assert (code, out) == (2, "")
        assert "the first layer whose output is not finite is 'seq_blocks.3' (BatchNorm1d)" in err
        assert "accuracy 0" not in err


STOPS = """
from torch import nn

class Stops(nn.Sequential):
    calls, last = 0, 10**9

    def forward(self, x):
        Stops.calls += self.training
        if Stops.calls > Stops.last:
            raise KeyboardInterrupt
        return super().forward(x)

def model():
    return Stops(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))

def digits():
    from sklearn.datasets import load_digits
    data = load_digits()
    return data.data, data.target
"""


def test_a_training_that_did_not_end_says_so_and_is_done_again(
    run_narrower: RunNarrower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path.cwd()))
    Path("stops.py").write_text(STOPS, encoding="utf-8")
    import importlib

    stops = importlib.import_module("stops")
    search = (
        "search", "--model", "stops:model", "--dataset", "stops:digits", "--weight-widths", "8",
        "--data-widths", "8", "--samples", "100", "--project",
    )  # fmt: skip
    assert run_narrower(*search, "whole")[0] == 0
    whole = json.loads(Path("runs/whole/training.json").read_text(encoding="utf-8"))
    assert whole["ended"] is True
    stops.Stops.calls, stops.Stops.last = 0, 8  # in the second of ten epochs of five batches
    assert run_narrower(*search, "half")[0] == 130
    assert Path("runs/half/checkpoints/best.ckpt").is_file()
    assert json.loads(Path("runs/half/training.json").read_text(encoding="utf-8"))["ended"] is False
    stops.Stops.last = 10**9
    code, _, err = run_narrower(*search, "half", "--no-train")
    assert (code, "there are no weights" in err) == (2, True)
    code, _, err = run_narrower(
        "test", "stops:model", "stops:digits", "--load", "runs/half/checkpoints/best.ckpt"
    )
    assert "of a training that did not end" in err
    code, _, err = run_narrower(*search, "half")
    assert (code, "did not end: training again" in err) == (0, True), err
    fronts = [
        json.loads(Path(f"runs/{run}/front.json").read_text(encoding="utf-8")) for run in ("whole", "half")
    ]
    assert fronts[0]["float32"] == fronts[1]["float32"]
