"""Learned widths after kills at random instants: the members of an uninterrupted training."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from narrower.store.files import write_text
from tests.conftest import RunNarrower

DATA = """
import numpy as np

def blobs():
    chance = np.random.default_rng(0)
    classes = chance.integers(0, 3, 4000)
    return chance.normal(size=(4000, 4)) + 1.2 * np.eye(4)[classes], classes
"""
OFTEN = """
import sys
from narrower.cli.main import main
from narrower.preparation.learning import state_file

state_file.EVERY_SECONDS = 0.05
sys.exit(main())
"""


def start(*arguments: str) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": f".:{os.environ.get('PYTHONPATH', '')}",
    }
    return subprocess.Popen(
        [sys.executable, "-c", OFTEN, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment,
    )


def members(run: str) -> list[tuple[dict[str, object], bytes]]:
    record = json.loads(Path("runs", run, "learned.json").read_text(encoding="utf-8"))
    return [(member, Path("runs", run, member["file"]).read_bytes()) for member in record["members"]]


def test_a_training_that_is_killed_has_the_members_of_one_that_is_not(run_narrower: RunNarrower) -> None:
    write_text(Path("killed_blobs.py"), DATA)
    options = ("learn", "killed_blobs:blobs", "--hidden", "6", "--epochs", "300")
    assert run_narrower(*options, "--project", "whole")[0] == 0
    chance = random.Random(0)
    process = start(*options, "--project", "killed")
    state = Path("runs/killed/state/training.safetensors")
    for _ in range(3):
        until = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < until and not state.is_file():
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.4))
        process.kill()
        _, messages = process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL, messages.decode()
        process = start("learn", "--resume", "runs/killed")
    _, messages = process.communicate(timeout=120)
    assert process.returncode == 0, messages.decode()
    assert members("killed") == members("whole")
    assert run_narrower("learn", "--resume", "runs/killed")[0] == 0  # it has ended: nothing is trained
    assert members("killed") == members("whole")
    code, _, err = run_narrower("learn", "--resume", "runs/killed", "--epochs", 7)
    assert (code, "--epochs: go with a new training" in err) == (2, True), err


def test_what_cannot_go_on_is_named(run_narrower: RunNarrower) -> None:
    assert "no such run" in run_narrower("learn", "--resume", "runs/none")[2]
    Path("runs/empty").mkdir(parents=True)
    code, _, err = run_narrower("learn", "--resume", "runs/empty")
    assert (code, "no learned widths were begun here" in err) == (2, True), err
    code, _, err = run_narrower("learn")
    assert (code, "give DATASET" in err) == (2, True), err
