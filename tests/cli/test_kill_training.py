"""SIGKILL at random moments of searches that train their plans: they end as one that was not killed."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from narrower.store.trials import TrialStore

SETTINGS = """
model = "digits-mlp"
dataset = "digits"
max_epochs = 2
batch_size = 64
project = "{project}"
[search.search_space]
name = "quantize"
[search.search_space.seed.default.config]
name = ["integer"]
data_in_width = [4, 8]
weight_width = [2, 3, 4]
bias_width = [8]
[search.strategy]
[search.strategy.training]
{training}
[search.strategy.setup]
sampler = "random"
n_trials = 48
[search.strategy.metrics]
accuracy = {{}}
bitops = {{}}
"""

# Imports once, so that a child is at work as soon as it is forked.
DRIVER = """
import contextlib, json, os, random, signal, sys, time
from pathlib import Path
import torch
from narrower.cli.main import run
import narrower.cli.search, narrower.study.finetuned_run, narrower.preparation.retrained
torch.set_num_threads(1)

def child(where, arguments):
    pid = os.fork()
    if pid == 0:
        os.chdir(where)  # a search takes over what lies beside it
        os._exit(run(arguments))
    return pid

def ended(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def wrote(project, since):
    files = project.rglob("*") if project.is_dir() else ()
    return any(file.stat().st_mtime > since for file in files if file.name != ".lock" and file.exists())

def begun(pid, project):
    since = time.time()  # importing and reading settings is not what is killed
    while os.waitpid(pid, os.WNOHANG)[0] == 0:
        with contextlib.suppress(OSError):
            if wrote(project, since):
                return True
        time.sleep(0.01)
    return False

kills, chance = int(sys.argv[1]), random.Random(int(sys.argv[2]))
pid = child("whole", ["search", "--config", "search.toml"])
assert begun(pid, Path("whole/runs/it"))
start = time.monotonic()
assert ended(pid) == 0
seconds, codes, project = time.monotonic() - start, [], Path("killed/runs/it")
for _ in range(kills):
    is_there = (project / "trials.db").is_file()
    resume = ["search", "--resume", "runs/it"]
    pid = child("killed", resume if is_there else ["search", "--config", "search.toml"])
    if begun(pid, project):
        time.sleep(chance.uniform(0, 0.5) * seconds)
        os.kill(pid, signal.SIGKILL)
        codes.append(ended(pid))
assert ended(child("killed", resume)) == 0
json.dump(codes, open("codes.json", "w"))
"""


def killed(training: str, kills: int, seed: int) -> list[int]:
    for project in ("whole", "killed"):
        Path(project).mkdir()
        text = SETTINGS.format(project="it", training=training)
        Path(project, "search.toml").write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, str(kills), str(seed)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    codes: list[int] = json.loads(Path("codes.json").read_text(encoding="utf-8"))
    return codes


def trials(project: str) -> list[tuple[int, dict[str, float]]]:
    with TrialStore.open(Path(project, "runs/it/trials.db"), read_only=True) as store:
        return [(trial.plan_index, trial.metrics) for trial in store.trials()]


def record(project: str, name: str) -> Any:
    found = json.loads(Path(project, "runs/it", name).read_text(encoding="utf-8"))
    found.pop("seconds", None)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("start", ["float", "nearest"])
def test_candidates_end_the_same(start: str) -> None:
    codes = killed(f"when = 'candidates'\nn_epochs = 6\nfrom = '{start}'", 5, 1)
    assert -9 in codes
    assert trials("killed") == trials("whole")
    assert record("killed", "curves.json") == record("whole", "curves.json")
    kept = [
        {file.name for file in Path(each, "runs/it/candidates").iterdir()} for each in ("whole", "killed")
    ]
    assert kept[0] == kept[1]
    assert len(kept[0]) == len(trials("whole"))


@pytest.mark.slow
@pytest.mark.parametrize("order", ["", "order = 'untrained'"])
def test_rounds_end_the_same(order: str) -> None:
    codes = killed(f"when = 'rounds'\nn_epochs = 24\nrounds = 3\n{order}", 5, 2)
    assert -9 in codes
    assert trials("killed") == trials("whole")
    assert record("killed", "finetuned.json") == record("whole", "finetuned.json")
