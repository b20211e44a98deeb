"""Kills at random instants, and Ctrl-C: a resume ends where an uninterrupted run does."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from narrower.store.trials import TrialStore
from tests.cli.settings_file import settings_file

SETUPS = {
    "brute_force": "",
    "tpe": "n_trials = 60",
    "nsgaii": "n_trials = 250",
}


def start(*arguments: str | Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "narrower", *map(str, arguments)]
    # Started in the background, as `make test &` is, a process ignores Ctrl-C, and so would its children.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # one thread each: several test processes share the cores
    return subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def finish(process: subprocess.Popen[bytes]) -> int:
    _, messages = process.communicate(timeout=300)
    assert process.returncode in (0, 2, -signal.SIGKILL), messages.decode()
    return process.returncode


def trials(run: Path) -> list[tuple[int, dict[str, float]]]:
    with TrialStore.open(run / "trials.db", read_only=True) as store:
        return [(trial.plan_index, trial.metrics) for trial in store.trials()]


def killed_and_resumed(config: Path, trained: Path, kills: int, chance: random.Random, project: str) -> Path:
    """Start a search, kill it ``kills`` times, and let it end; the run that it leaves."""
    text = config.read_text(encoding="utf-8").replace('project = "toy"', f'project = "{project}"')
    own = Path(f"{project}.toml")
    own.write_text(text, encoding="utf-8")
    run = Path("runs") / project
    process = start("search", "--config", own, "--load", trained)
    for _ in range(kills):
        until = time.monotonic() + 60
        before = (run / "trials.db").stat().st_size if (run / "trials.db").is_file() else -1
        while process.poll() is None and time.monotonic() < until:  # until it has begun to write
            size = (run / "trials.db").stat().st_size if (run / "trials.db").is_file() else -1
            if size != before or (run / "trials.db-wal").is_file():
                break
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.6))
        process.kill()
        finish(process)
        if (run / "trials.db").is_file():
            committed = trials(run)
            process = start("search", "--resume", run)
        else:
            committed = []
            process = start("search", "--config", own, "--load", trained)
    assert finish(process) == 0
    assert trials(run)[: len(committed)] == committed
    return run


def reference(config: Path, trained: Path) -> Path:
    assert finish(start("search", "--config", config, "--load", trained)) == 0
    return Path("runs/toy")


@pytest.mark.parametrize(("sampler", "kills"), [("brute_force", 2), ("tpe", 2), ("nsgaii", 1)])
def test_a_killed_search_ends_with_the_trials_of_an_uninterrupted_one(
    sampler: str, kills: int, trained: Path
) -> None:
    _compare(sampler, [kills], trained)


@pytest.mark.slow
@pytest.mark.parametrize(("sampler", "runs"), [("brute_force", 12), ("tpe", 11), ("nsgaii", 11)])
def test_a_hundred_kills(sampler: str, runs: int, trained: Path) -> None:
    _compare(sampler, [3] * runs, trained)


def _compare(sampler: str, kills: list[int], trained: Path) -> None:
    samples = 8000 if sampler == "brute_force" else 2000
    config = settings_file(Path("a.toml"), sampler=sampler, setup=SETUPS[sampler], samples=samples)
    expected = trials(reference(config, trained))
    expected_front = json.loads(Path("runs/toy/front.json").read_text(encoding="utf-8"))["members"]
    # elsewhere, so that nothing is taken over from the finished run
    Path("runs").rename("finished")
    chance = random.Random(len(kills))
    for number, count in enumerate(kills):
        run = killed_and_resumed(config, trained, count, chance, f"killed-{number}")
        assert trials(run) == expected
        front = json.loads((run / "front.json").read_text(encoding="utf-8"))["members"]
        assert front == expected_front
        Path("runs").rename(f"killed-{number}")


def test_ctrl_c_writes_the_front_and_ends_with_130(trained: Path) -> None:
    config = settings_file(Path("a.toml"), sampler="tpe", setup="n_trials = 4000", samples=2000)
    process = start("search", "--config", config, "--load", trained)
    database = Path("runs/toy/trials.db")
    until = time.monotonic() + 60
    while time.monotonic() < until and not (database.is_file() and trials(database.parent)):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    try:
        _, messages = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, messages.decode()
    record = json.loads(Path("runs/toy/front.json").read_text(encoding="utf-8"))
    assert record["summary"]["stopped"] == "interrupted"
    assert record["members"]
    assert record["summary"]["trials"] == len(trials(database.parent))


def test_a_changed_space_model_or_data_set_is_refused(trained: Path) -> None:
    config = settings_file(Path("a.toml"), layers=("seq_blocks_5",), biases="[8]")
    assert finish(start("search", "--config", config, "--load", trained)) == 0
    resolved = Path("runs/toy/settings.toml")
    original = resolved.read_text(encoding="utf-8")
    for old, new, said in (
        ("[search.search_space.seed.seq_blocks_5", "[search.search_space.seed.seq_blocks_8", b"the space"),
        ("num_samples = 256", "num_samples = 255", b"the samples"),
    ):
        assert old in original
        resolved.write_text(original.replace(old, new), encoding="utf-8")
        process = start("search", "--resume", "runs/toy")
        _, messages = process.communicate(timeout=60)
        assert process.returncode == 2
        assert said in messages
    resolved.write_text(original, encoding="utf-8")
    weights = Path("runs/toy/models/float32.safetensors")
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1  # the exponent of one number
    weights.write_bytes(content)
    process = start("search", "--resume", "runs/toy")
    _, messages = process.communicate(timeout=60)
    assert process.returncode == 2
    assert b"model weights" in messages


def test_a_timeout_holds_and_the_run_goes_on_later(trained: Path) -> None:
    config = settings_file(Path("a.toml"), sampler="tpe", setup="n_trials = 30\ntimeout = 0.02", samples=2000)
    assert finish(start("search", "--config", config, "--load", trained)) == 0
    record = json.loads(Path("runs/toy/front.json").read_text(encoding="utf-8"))
    assert record["summary"]["stopped"] == "timeout"
    assert record["summary"]["trials"] < 30
