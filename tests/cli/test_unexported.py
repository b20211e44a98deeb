"""What no artefact can express is said before the first trial."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import narrower
from narrower.data.datasets import DataSet
from tests.conftest import RunNarrower

MINE = """
import torch
from torch import nn

class Whole(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(16, 8), nn.Linear(8, 5)
    def forward(self, x):
        return self.last(torch.cumprod(self.first(x), 1))

class Plain(nn.Sequential):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(16, 8), nn.Linear(8, 5)
"""
FILE = """
model = "unexported_of_mine:{model}"
dataset = "jets"
max_epochs = 1
[search.search_space]
name = "quantize"
[search.search_space.setup]
by = "name"
[search.search_space.seed.{layers}.config]
name = ["integer"]
data_in_width = [4, 8]
weight_width = [4]
bias_width = [8]
[search.strategy.setup]
sampler = "brute_force"
[search.strategy.sw_runner.basic_evaluation]
num_samples = 500
[search.strategy.metrics]
accuracy.direction = "maximize"
{metric}.direction = "minimize"
"""


@pytest.fixture(autouse=True)
def _mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "unexported_of_mine.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)


def settings(metric: str, model: str = "Whole", layers: str = "default") -> str:
    Path("search.toml").write_text(FILE.format(model=model, metric=metric, layers=layers))
    return "search.toml"


def test_check_and_search_note_it(run_narrower: RunNarrower) -> None:
    for command in (("check",), ("search", "--config")):
        code, _, err = run_narrower(*command, settings("bitops"))
        assert code == 0, err
        assert "export to ONNX will not be possible: no rule exports the operator aten.cumprod" in err


@pytest.mark.parametrize("metric", ["latency", "luts", "ebops"])
def test_a_metric_that_no_plan_has_is_an_error(metric: str, run_narrower: RunNarrower) -> None:
    for command in (("check",), ("search", "--config")):
        code, _, err = run_narrower(*command, settings(metric))
        assert code == 2
        assert f"search.strategy.metrics.{metric}: no plan of" in err
        assert "aten.cumprod" in err
        assert "training" not in err


def test_logic_needs_every_layer_rounded(run_narrower: RunNarrower) -> None:
    code, _, err = run_narrower("check", settings("ebops", "Plain", "first"))
    assert (code, "last: its data is float32" in err) == (2, True)
    code, _, err = run_narrower("check", settings("ebops", "Plain"))
    assert code == 0, err
    assert "ONNX" not in err


def test_a_search_from_python_warns_of_it(jets: DataSet) -> None:
    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(16, 8), nn.Linear(8, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(torch.cumprod(self.first(x), 1))

    space = {"first": {"data": [8], "weight": [4, 8]}}
    with pytest.warns(UserWarning, match=r"export to ONNX will not be possible.*aten\.cumprod") as caught:
        narrower.search(Whole(), jets, space, ["accuracy", "bitops"], samples=100)
    assert caught[-1].filename == __file__
