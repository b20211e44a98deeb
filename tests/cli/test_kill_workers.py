"""Searches that train on workers, with modules of the user's own: killed and resumed, stopped by Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from narrower.store.trials import TrialStore

MINE = """
import numpy as np
import torch
from torch import nn


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3))


def numbers():
    chance = np.random.default_rng(0)
    inputs = chance.normal(size=(1500, 6)).astype("float32")
    return inputs, (inputs[:, 0] + 0.3 * chance.normal(size=1500)).astype("float32")


def pinball(outputs, targets):
    off = targets[:, None] - outputs
    shares = torch.tensor([0.1, 0.5, 0.9])
    return torch.maximum(shares * off, (shares - 1) * off).mean(dim=1)


def quantiles():
    outputs = ["low", "median", "high"]
    return {"loss": pinball, "metrics": {"pinball": ("minimize", pinball)}, "outputs": outputs}


def width(outputs, targets):
    return float((outputs[:, 2] - outputs[:, 0]).abs().mean())
"""
SETTINGS = """
model = "mine:network"
dataset = "mine:numbers"
task = "mine:quantiles"
max_epochs = 2
batch_size = 64
project = "it"
[search.search_space]
name = "quantize"
[search.search_space.seed.default.config]
name = ["integer"]
data_in_width = [4, 8]
weight_width = [2, 3, 4, 8]
bias_width = [8]
[search.strategy.training]
{training}
[search.strategy.setup]
sampler = "random"
n_trials = 48
[search.strategy.metrics]
pinball = {{}}
"mine:width" = {{ direction = "minimize" }}
bitops = {{}}
"""
WAYS = {
    "candidates": "when = 'candidates'\nn_epochs = 20",
    "rounds": "when = 'rounds'\nn_epochs = 60\nrounds = 2",
    "folds": "when = 'front'\nn_epochs = 12\nfolds = 2",
}
MARK = "NARROWER_TEST_OF_WORKERS"
PROCESSES, RAY = ("--jobs", "2"), ("--backend", "ray", "--address", "local")


def start(*arguments: str, where: Path, mark: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", MARK: mark}
    return subprocess.Popen(
        [sys.executable, "-m", "narrower", *arguments],
        cwd=where, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment,
    )  # fmt: skip


def alive(mark: str) -> list[str]:
    """The processes that a search began, and what of Ray belongs to them."""
    wanted, found = f"{MARK}={mark}".encode(), []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (path / "environ").read_bytes().split(b"\0"):
                found.append((path / "cmdline").read_text().replace("\0", " "))
        except OSError:  # it has ended
            continue
    return found


def in_training(process: subprocess.Popen[bytes], run: Path) -> bool:
    """Whether it has trained some plans, and is still at work."""
    until = time.monotonic() + 200
    while process.poll() is None and time.monotonic() < until:
        if any(any(run.glob(f"{part}/**/*.safetensors")) for part in ("candidates", "finetuned")):
            return True
        time.sleep(0.01)
    return False


def project(name: str, way: str) -> Path:
    where = Path(name).absolute()
    where.mkdir()
    (where / "mine.py").write_text(MINE, encoding="utf-8")
    (where / "search.toml").write_text(SETTINGS.format(training=WAYS[way]), encoding="utf-8")
    return where


def left(where: Path) -> list[Any]:
    run = where / "runs/it"
    with TrialStore.open(run / "trials.db", read_only=True) as store:
        found: list[Any] = [[(t.number, t.plan_index, t.state, t.metrics) for t in store.trials()]]
    for name in ("front.json", "finetuned.json"):
        record = json.loads((run / name).read_text()) if (run / name).is_file() else {}
        found.append(record["members"] if record else None)
    files = [file for part in ("candidates", "finetuned") for file in run.glob(f"{part}/**/*.*")]
    whole = [file for file in files if not file.name.startswith(".")]  # one may have been in the making
    return [*found, sorted(str(file.relative_to(run)) for file in whole)]


def whole(way: str) -> list[Any]:
    where = project("whole", way)
    process = start("search", "--config", "search.toml", where=where, mark="whole")
    _, messages = process.communicate(timeout=200)
    assert process.returncode == 0, messages.decode()
    return left(where)


@pytest.mark.slow
@pytest.mark.parametrize("backend", [PROCESSES, RAY], ids=["processes", "ray"])
@pytest.mark.parametrize("way", WAYS)
def test_a_search_whose_driver_is_killed_goes_on_and_ends_as_one_process_does(
    way: str, backend: tuple[str, ...]
) -> None:
    if backend == RAY:
        pytest.importorskip("ray")
    wanted, where = whole(way), project("killed", way)
    process = start("search", "--config", "search.toml", *backend, where=where, mark="killed")
    was_at_work = in_training(process, where / "runs/it")
    process.kill()
    _, messages = process.communicate(timeout=60)
    assert was_at_work, messages.decode()
    assert process.returncode == -signal.SIGKILL
    assert left(where)[-1] != wanted[-1], "killed before the end"
    process = start("search", "--resume", "runs/it", *backend, where=where, mark="killed")
    _, messages = process.communicate(timeout=200)
    assert process.returncode == 0, messages.decode()
    assert left(where) == wanted


@pytest.mark.slow
@pytest.mark.parametrize("backend", [PROCESSES, RAY], ids=["processes", "ray"])
@pytest.mark.parametrize("way", WAYS)
def test_ctrl_c_leaves_no_process_behind(way: str, backend: tuple[str, ...]) -> None:
    if backend == RAY:
        pytest.importorskip("ray")
    where, mark = project("stopped", way), f"{way}-{backend[-1]}-{os.getpid()}"
    process = start("search", "--config", "search.toml", *backend, where=where, mark=mark)
    was_at_work = in_training(process, where / "runs/it")
    assert len(alive(mark)) > 1
    process.send_signal(signal.SIGINT)
    _, messages = process.communicate(timeout=60)
    assert was_at_work, messages.decode()
    assert process.returncode == 130, messages.decode()
    assert b"Traceback" not in messages
    until = time.monotonic() + 5
    while alive(mark) and time.monotonic() < until:
        time.sleep(0.05)
    assert not alive(mark)
