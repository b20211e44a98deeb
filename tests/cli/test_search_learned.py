"""A search whose widths a training learns: members are trials, and every command takes them."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import narrower
from narrower.report.findings import read_findings
from narrower.report.learned_section import weight_widths
from narrower.store.files import write_text
from narrower.store.run_directory import RunDirectory
from narrower.store.trials import TrialStore
from narrower.tasks.intervals import wilson_interval
from tests.conftest import RunNarrower

MODULE = """
import numpy as np
from torch import nn

def blobs():
    chance = np.random.default_rng(0)
    classes = chance.integers(0, 3, 4000)
    return chance.normal(size=(4000, 4)) + 1.2 * np.eye(4)[classes], classes

def tagger():
    layers = [nn.BatchNorm1d(4), nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3), nn.ReLU()]
    return nn.Sequential(*layers)

class Remembering(nn.Module):
    def __init__(self):
        super().__init__()
        self.memory, self.last = nn.GRU(1, 5, batch_first=True), nn.Linear(5, 3)

    def forward(self, x):
        return self.last(self.memory(x[:, :, None])[0][:, -1])

def remembering():
    return Remembering()

def curved():
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3, bias=False))
"""
FILE = """
model = "learned_blobs:{model}"
dataset = "learned_blobs:blobs"
project = "{project}"
max_epochs = 1
[search.search_space]
name = "quantize"
[search.search_space.setup]
by = "type"
[search.search_space.seed.linear.config]
{config}
[search.strategy.setup]
sampler = "{sampler}"
[search.strategy.training]
n_epochs = {epochs}
[search.strategy.metrics]
{metrics}
{more}
"""
LEARN = 'learn = ["weight", "data"]'
OFTEN = """
import sys
from narrower.cli.main import main
from narrower.preparation.learning import state_file

state_file.EVERY_SECONDS = 0.05
sys.exit(main())
"""


@pytest.fixture(autouse=True)
def _module() -> None:
    write_text(Path("learned_blobs.py"), MODULE)


def settings(
    project: str,
    *,
    model: str = "tagger",
    config: str = LEARN,
    sampler: str = "learned",
    epochs: int = 60,
    metrics: str = "accuracy = {}\nebops = {}",
    more: str = "",
) -> Path:
    text = FILE.format(
        model=model,
        project=project,
        config=config,
        sampler=sampler,
        epochs=epochs,
        metrics=metrics,
        more=more,
    )
    write_text(Path(f"{project}.toml"), text)
    return Path(f"{project}.toml")


def record(project: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(Path("runs", project, "front.json").read_text(encoding="utf-8"))
    return found


def test_members_are_trials_and_every_command_takes_them(run_narrower: RunNarrower) -> None:
    code, out, err = run_narrower(
        "search", "--config", settings("small", more="[search.strategy.constraints]\nebops.max = 400")
    )
    assert code == 0, err
    found = record("small")
    members = found["members"]
    assert isinstance(members, list)
    assert len(members) > 2
    with TrialStore.open(Path("runs/small/trials.db"), read_only=True) as store:
        trials = list(store.trials())
    everyone = [(t.metrics["ebops"], t.metrics["accuracy"]) for t in trials]
    best = [
        a
        for a in everyone
        if a[0] <= 400 and not any(b != a and b[0] <= a[0] and b[1] >= a[1] for b in everyone)
    ]
    assert sorted((m["metrics"]["ebops"], m["metrics"]["accuracy"]) for m in members) == sorted(set(best))
    for member in members[:2]:
        right = round(member["metrics"]["accuracy"] * found["samples"])  # type: ignore[operator]
        assert tuple(member["accuracy_interval"]) == wilson_interval(right, found["samples"])  # type: ignore[arg-type]
        assert member["alone_accuracy"] is None  # the engine finds the accuracy that the training found
        assert Path("runs/small", member["weights"]).is_file()
    number = members[0]["number"]
    code, out, err = run_narrower("show", "runs/small")
    assert code == 0, err
    assert f"complete: {len(trials)} of {len(trials)} plans" in err
    for options in (("--csv",), ("--csv", "--all"), ("--json",), ("--markdown",)):
        assert run_narrower("show", "runs/small", *options)[0] == 0
    code, out, err = run_narrower("pick", "runs/small", "--max", "ebops=400")
    assert code == 0, err
    write_text(Path("plan.toml"), out)
    code, _, err = run_narrower("transform", "--config", "plan.toml", "--output", "tagger.safetensors")
    assert code == 0, err
    for kind in ("safetensors", "onnx"):
        code, out, err = run_narrower(
            "export", "runs/small", "--trial", number, "--to", kind, "--samples", 1000
        )
        assert code == 0, err
        assert "every element must be equal: passed" in out
    inputs = torch.randn(200, 4, generator=torch.Generator().manual_seed(0))
    import learned_blobs

    whole = narrower.load_compressed("tagger.safetensors", learned_blobs.tagger())
    packed = narrower.load_compressed(
        f"runs/small/exports/trial-{number}/model.safetensors", learned_blobs.tagger()
    )
    assert torch.equal(whole(inputs), packed(inputs))
    assert run_narrower("report", "runs/small", "--png")[0] == 0
    page = Path("runs/small/report.html").read_text(encoding="utf-8")
    assert "Bits of single weights" in page
    assert "mean bits of the weights over the training" in page
    learned = read_findings(RunDirectory(Path("runs/small")))
    for member in learned.members:
        stored = weight_widths(learned, member)
        assert [each.shape for each in stored.values()] == [(6, 4), (3, 6)]
        total = sum(int(each.sum()) for each in stored.values())
        assert total / 42 == pytest.approx(member.metrics["average_bitwidth"])
    assert run_narrower("search", "--resume", "runs/small")[0] == 0
    assert record("small")["members"] == members
    code, _, err = run_narrower("compare", "--config", "small.toml", "--samplers", "tpe,random")
    assert (code, "no samplers to compare" in err) == (2, True), err


def test_a_killed_search_has_the_trials_and_members_of_one_that_was_not(run_narrower: RunNarrower) -> None:
    assert run_narrower("search", "--config", settings("whole", epochs=120))[0] == 0
    config = settings("killed", epochs=120)
    weights = Path("runs/whole/checkpoints/best.ckpt")
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": f".:{os.environ.get('PYTHONPATH', '')}",
    }

    def start(*arguments: str | Path) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", OFTEN, *map(str, arguments)]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment)

    process = start("search", "--config", config, "--load", weights)
    chance, state = random.Random(1), Path("runs/killed/state/training.safetensors")
    until = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < until and not state.is_file():
        time.sleep(0.01)
    time.sleep(chance.uniform(0, 0.5))
    process.kill()
    _, messages = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, messages.decode()
    process = start("search", "--resume", "runs/killed")
    _, messages = process.communicate(timeout=120)
    assert process.returncode == 0, messages.decode()
    runs = []
    for project in ("whole", "killed"):
        with TrialStore.open(Path("runs", project, "trials.db"), read_only=True) as store:
            runs.append([(t.number, t.plan_index, t.state, t.metrics) for t in store.trials()])
    assert runs[0] == runs[1]
    assert record("whole")["members"] == record("killed")["members"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": "remembering"}, "one training learns the widths of all layers; not named: memory"),
        (
            {"model": "curved", "epochs": "5\nn_seeds = 2"},
            "training.n_seeds: found 2; a network that is no chain",
        ),
        ({"config": 'learn = ["weight"]'}, "learn: found ['weight'], and ebops is of numbers in fixed point"),
        (
            {"config": 'learn = ["data"]', "metrics": "accuracy = {}\nmodel_size = {}"},
            "learn: found ['data'], and model_size is of weights alone",
        ),
        (
            {"config": 'learn = ["weight"]\ndata_in_width = [4, 8]'},
            "config.data_in_width: found 2 of them; what is not learned has one format",
        ),
        (
            {"config": f"{LEARN}\nweight_width = [4]"},
            "linear.config.weight_width: means nothing beside learn",
        ),
        ({"config": f"{LEARN}\nallowed = [3, 17]"}, "linear.config.allowed: found 17"),
        ({"config": f"{LEARN}\nallowed = [12]\nmax_width = 8"}, "allowed: expected 0 and widths from 2 to 8"),
        ({"config": f"{LEARN}\ngranularity = 'row'"}, "granularity: found 'row'"),
        (
            {"config": 'name = ["integer"]\ngranularity = "weight"'},
            "granularity: means nothing without learn",
        ),
        ({"sampler": "tpe", "more": ""}, "setup"),
        ({"more": "[search.strategy.training.target]\nebops = 0"}, "training.target.ebops: found 0"),
        ({"metrics": "accuracy = {}\nmacs = {}"}, "metrics.macs: no cost that widths are learned for"),
        (
            {
                "metrics": "accuracy = {}\nbitops = {}",
                "more": "[search.strategy.training.target]\nebops = 5",
            },
            "training.target.ebops: the training lowers bitops",
        ),
        ({"metrics": "accuracy = {}"}, "metrics.ebops: where widths are learned"),
        ({"more": "[search.strategy.constraints]\nluts.max = 5"}, "constraints.luts: not known while"),
    ],
)
def test_what_contradicts_learning_is_named(
    changes: dict[str, str], words: str, run_narrower: RunNarrower
) -> None:
    code, _, err = run_narrower("check", settings("wrong", **changes))  # type: ignore[arg-type]
    assert code == 2
    assert words in " ".join(err.split()), err


def test_a_network_that_is_no_chain_is_learned_and_exported(run_narrower: RunNarrower) -> None:
    code, _, err = run_narrower(
        "search",
        "--config",
        settings("curved", model="curved", epochs=20, metrics="accuracy = {}\nmodel_size = {}"),
    )
    assert code == 0, err
    members = record("curved")["members"]
    assert isinstance(members, list)
    for member in members:
        assert member["alone_accuracy"] is None  # what was scored is what was kept
        assert 0 < member["metrics"]["model_size"] < 4 * 51
    number = str(members[0]["number"])
    for kind in ("onnx", "qonnx", "safetensors"):
        code, _, err = run_narrower(
            "export", "runs/curved", "--trial", number, "--to", kind, "--samples", "1000"
        )
        assert code == 0, err


@pytest.mark.parametrize(
    ("config", "kept"),
    [
        ('learn = ["weight"]\ndata_in_width = [6]\ndata_in_frac_width = [3]', {"data": "fixed(6,frac=3)"}),
        ('learn = ["data"]\nweight_width = [4]\nweight_frac_width = [3]', {"weight": "fixed(4,frac=3)"}),
    ],
)
def test_one_operand_is_learned_and_the_other_keeps_its_format(
    config: str, kept: dict[str, str], run_narrower: RunNarrower
) -> None:
    code, _, err = run_narrower("search", "--config", settings("one", config=config, epochs=10))
    assert code == 0, err
    members = record("one")["members"]
    assert isinstance(members, list)
    assert members
    for member in members:
        assert member["alone_accuracy"] is None  # what was scored is what was kept
        for layer in member["plan"].values():
            assert {name: layer[name] for name in kept} == kept
            learned = {name: text for name, text in layer.items() if name not in kept}
            assert learned
            assert all(text.startswith("fixed_each") or name == "bias" for name, text in learned.items())


def test_check_says_what_would_be_learned(run_narrower: RunNarrower) -> None:
    code, out, err = run_narrower("check", settings("right", config=f"{LEARN}\ngranularity = 'channel'"))
    assert code == 0, err
    assert "one for each channel, in one training of 60 epochs; at most 200 members are kept" in out
