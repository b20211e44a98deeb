"""A task of the user's own: loss and metrics from their module, on data of a function and of a file."""

import json
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import r2_score

from narrower.errors import DataError, NarrowerError
from narrower.own_code.failures import OwnCodeError
from narrower.tasks.catalogue import task_named
from narrower.tasks.own.all_samples import rows_of
from narrower.tasks.own.tensors import outputs_and_targets
from narrower.tasks.task import Ending
from tests.conftest import RunNarrower

MODULE = """
import numpy as np
import torch
from sklearn.metrics import r2_score
from torch import nn

X = np.random.default_rng(0).normal(size=(600, 4)).astype("float32")


def net(): return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
def data(): return X, (X[:, 0] * 2 + X[:, 1]).astype("float32")
def wide(): return X, np.stack([X[:, 0], X[:, 1]], 1)


def pinball(outputs, targets):
    shares = torch.tensor([0.1, 0.5, 0.9])
    off = targets.reshape(-1, 1) - outputs
    return torch.maximum(shares * off, (shares - 1) * off).mean(dim=1)


def inside(outputs, targets):
    return (outputs[:, 0] <= targets.flatten()) & (targets.flatten() <= outputs[:, 2])


def r2(outputs, targets): return r2_score(targets, outputs[:, 1])


def quantiles():
    metrics = {"pinball": ("minimize", pinball), "covered": ("maximize", inside, "share"),
               "median_r2": ("maximize", r2, "all")}
    return {"loss": pinball, "metrics": metrics, "outputs": ["low", "median", "high"]}


class Quantiles:
    metrics = {"covered": ("maximize", inside, "share")}

    def loss(self, outputs, targets):
        return pinball(outputs, targets)


wrong_form = {"loss": pinball}
wrong_key = {"loss": pinball, "metrics": {"a": ("minimize", pinball)}, "metric": {}}
wrong_direction = {"loss": pinball, "metrics": {"a": ("smaller", pinball)}}
wrong_name = {"loss": pinball, "metrics": {"loss": ("minimize", pinball)}}
wrong_cost = {"loss": pinball, "metrics": {"energy": ("minimize", pinball)}}
one_number = {"loss": lambda o, t: pinball(o, t).mean(), "metrics": {"a": ("minimize", pinball)}}
raising = {"loss": lambda o, t: o @ t, "metrics": {"a": ("minimize", pinball)}}
no_share = {"loss": pinball, "metrics": {"a": ("minimize", pinball, "share")}}
def failing(): raise RuntimeError("no task today")
"""
SEARCH = """
[search.search_space]
name = "quantize"
setup = { by = "type" }
seed.linear.config = { name = ["integer"], data_in_width = [8], weight_width = [3, 8], bias_width = [8] }
[search.strategy]
setup = { sampler = "brute_force" }
metrics = { METRIC = {}, bitops = {} }
"""
X = np.random.default_rng(1).normal(size=(40, 3)).astype("float32")


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    Path("own_tasked.py").write_text(MODULE)


def settings(task: str, metric: str, data: str = "own_tasked:data", model: str = "own_tasked:net") -> None:
    top = f'model = "{model}"\ndataset = "{data}"\ntask = "{task}"\nproject = "p"\nmax_epochs = 3\n'
    Path("run.toml").write_text(top + "batch_size = 32\n" + SEARCH.replace("METRIC", metric))


@pytest.mark.parametrize("metric", ["pinball", "covered", "median_r2"])
def test_it_works_from_end_to_end(metric: str, run_narrower: RunNarrower) -> None:
    settings("own_tasked:quantiles", metric)
    for command in (["check", "run.toml"], ["search", "--config", "run.toml"], ["finetune", "runs/p"]):
        code, _, err = run_narrower(*command, *(("--max-epochs", "1") if command[0] == "finetune" else ()))
        assert code == 0, err
    front = json.loads(Path("runs/p/front.json").read_text())
    assert front["task"] == "own_tasked:quantiles"
    assert front["output_names"] == ["low", "median", "high"]
    number = front["members"][0]["number"]
    low, high = front["members"][0]["pinball_interval"]
    assert low < front["members"][0]["metrics"]["pinball"] < high
    code, out, err = run_narrower("export", "runs/p", "--trial", str(number), "--json")
    assert code == 0, err
    assert json.loads(out)["passed"]
    Path("own_tasked.py").unlink()  # what was found is shown and reported without the module
    sys.modules.pop("own_tasked")
    for name in ("show", "report"):
        code, _, err = run_narrower(name, "runs/p")
        assert code == 0, err


def test_a_file_has_such_a_task_too(run_narrower: RunNarrower) -> None:
    rows = [f"{a:.3f},{b:.3f},{2 * a + b:.3f}" for a, b in np.random.default_rng(0).normal(size=(300, 2))]
    Path("table.csv").write_text("\n".join(["a,b,y", *rows]))
    settings("own_tasked:Quantiles", "covered", "table.csv?target=y", "toy")
    code, _, err = run_narrower("check", "run.toml")
    assert code == 2
    assert "IndexError" in err  # one output for one target, unless names of outputs say otherwise
    settings("own_tasked:quantiles", "covered", "table.csv?target=y", "toy")
    code, _, err = run_narrower("search", "--config", "run.toml")
    assert code == 0, err


def test_results_of_a_task_that_was_changed_are_not_taken_over(run_narrower: RunNarrower) -> None:
    settings("own_tasked:quantiles", "covered")
    assert run_narrower("search", "--config", "run.toml")[0] == 0
    Path("own_tasked.py").write_text(MODULE.replace("outputs[:, 2])", "outputs[:, 2] + 1)"))
    sys.modules.pop("own_tasked")
    code, _, err = run_narrower("search", "--resume", "runs/p")
    assert code == 2
    assert "the task of the run has changed" in err


@pytest.mark.parametrize(
    ("task", "metric", "said"),
    [
        ("own_tasked:wrong_form", "a", "is dict without loss and metrics; expected a dictionary"),
        ("own_tasked:wrong_key", "a", "unknown key 'metric'"),
        ("own_tasked:wrong_direction", "a", "expected ('maximize' or 'minimize', function)"),
        ("own_tasked:wrong_name", "a", "a metric is called 'loss'"),
        ("own_tasked:wrong_cost", "energy", "'energy' is the name of a cost"),
        ("own_tasked:one_number", "a", "gives one number for 2 samples (your code, "),
        ("own_tasked:raising", "a", "own_tasked.py:"),
        ("own_tasked:no_share", "a", "gives other numbers than 0 and 1"),
        ("own_tasked:failing", "a", "RuntimeError: no task today"),
        ("own_tasked:absent", "a", "has no 'absent'"),
        ("not_there:task", "a", "No module named 'not_there'"),
        ("own_tasked:quantiles", "coverd", "did you mean 'covered'"),
    ],
)
def test_what_is_wrong_is_one_sentence(task: str, metric: str, said: str, run_narrower: RunNarrower) -> None:
    settings(task, metric)
    code, _, err = run_narrower("check", "run.toml")
    assert code == 2, err
    assert said in err
    assert "Traceback" not in err


def test_metrics_are_what_their_functions_say() -> None:
    task = task_named("own_tasked:quantiles")
    outputs, targets = torch.randn(40, 3), torch.from_numpy(X[:, 0])
    by_name = {metric.name: metric.value(metric.sums(outputs, targets), 40) for metric in task.metrics}
    below, above = outputs[:, 0].numpy() <= X[:, 0], outputs[:, 2].numpy() >= X[:, 0]
    assert by_name["covered"] == (below & above).mean()
    assert by_name["median_r2"] == pytest.approx(r2_score(X[:, 0], outputs[:, 1]))
    assert by_name["pinball"] == pytest.approx(by_name["loss"])


def test_it_goes_to_other_processes_by_its_name() -> None:
    task = task_named("own_tasked:quantiles")
    assert pickle.loads(pickle.dumps(task)) == task
    assert task != task_named("own_tasked:Quantiles")


def test_a_loss_that_forgets_the_outputs_is_refused() -> None:
    Path("own_tasked.py").write_text(
        MODULE + "blind = {'loss': lambda o, t: t, 'metrics': quantiles()['metrics']}"
    )
    sys.modules.pop("own_tasked", None)
    loss = task_named("own_tasked:blind").loss(Ending())
    with pytest.raises(DataError, match="does not depend on the outputs"):
        loss.of_samples(torch.zeros(4, 3, requires_grad=True), torch.zeros(4))


@pytest.mark.parametrize("shape", [(), (3,), (2, 5)])
def test_rows_hold_what_they_were_made_of(shape: tuple[int, ...]) -> None:
    outputs, targets = torch.randn(7, *shape), torch.randint(0, 9, (7, 2))
    again = outputs_and_targets(rows_of(outputs, targets).numpy())
    assert torch.equal(again[0], outputs)
    assert torch.equal(again[1], targets)
    assert not issubclass(OwnCodeError, DataError)
    assert issubclass(DataError, NarrowerError)
