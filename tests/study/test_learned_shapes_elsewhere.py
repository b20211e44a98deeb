"""Widths that are learned by the workers of a backend are those of one process."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from narrower.preparation.learned import Learned
from narrower.searching.space_record import SPACE_FACT
from narrower.store.trials import TrialStore
from tests.cli.test_search_learned_shapes import front, settings
from tests.conftest import RunNarrower


def left(project: str) -> tuple[Any, Any, list[str]]:
    """Trials with their plans, the front, and which files lie there."""
    run = Path("runs", project)
    with TrialStore.open(run / "trials.db", read_only=True) as store:
        trials = [(t.number, t.plan_index, t.state, t.metrics) for t in store.trials()]
        plans = store.facts()[SPACE_FACT]
    paths = [path for part in ("state", "models") for path in run.glob(f"{part}/**/*")]
    files = sorted(str(path.relative_to(run)) for path in paths if not path.name.startswith("."))
    return (trials, plans), front(project), files


def short(project: str, sampler: str) -> Path:
    """Two shapes of three epochs."""
    file = settings(project, sampler=sampler)
    text = file.read_text(encoding="utf-8").replace("n_epochs = 8", "n_epochs = 3")
    file.write_text(text.replace("n_trials = 3", "n_trials = 2"), encoding="utf-8")
    return file


@pytest.fixture
def learned_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a file for each process that learned."""
    learn, seen = Learned.learn, tmp_path / "seen"
    seen.mkdir()

    def counts(learned: Learned, *arguments: Any) -> None:
        (seen / str(os.getpid())).touch()
        learn(learned, *arguments)

    monkeypatch.setattr(Learned, "learn", counts)
    return seen


@pytest.mark.slow  # two searches of ten seconds
def test_processes_leave_what_one_leaves(
    run_narrower: RunNarrower, learned_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("narrower.preparation.learning.state_file.EVERY_SECONDS", 0.1)
    monkeypatch.setattr("narrower.preparation.learning.programs.files.EVERY_SECONDS", 0.1)
    monkeypatch.setattr("narrower.study.shape_work.LEG_SECONDS", 0.0)
    kept = []
    for jobs in (1, 2):
        file = short(f"jobs-{jobs}", "random")
        code, _, err = run_narrower("search", "--config", file, "--jobs", jobs)
        assert code == 0, err
        kept.append(left(f"jobs-{jobs}"))
    assert kept[0] == kept[1]
    assert kept[0][0][0]
    assert len(list(learned_in.iterdir())) == 2


OFTEN = """
import sys
from narrower.cli.main import main
from narrower.preparation.learning import state_file
from narrower.study import shape_work

state_file.EVERY_SECONDS, shape_work.LEG_SECONDS = 0.05, 0.0
sys.exit(main())
"""


def often(*arguments: str) -> "subprocess.Popen[bytes]":
    """A search whose trainings come back after each epoch."""
    environment = {**os.environ, "PYTHONPATH": f".:{os.environ.get('PYTHONPATH', '')}"}
    return subprocess.Popen(
        [sys.executable, "-c", OFTEN, "search", *arguments],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment,
    )  # fmt: skip


@pytest.mark.slow  # searches of ten seconds
def test_what_workers_began_goes_on_after_a_kill_in_one_process_too(run_narrower: RunNarrower) -> None:
    assert run_narrower("search", "--config", short("whole", "random"))[0] == 0
    process, state = (
        often("--config", str(short("killed", "random")), "--jobs", "2"),
        Path("runs/killed/state"),
    )
    until = time.monotonic() + 100
    while process.poll() is None and time.monotonic() < until and not list(state.glob("*/proposed.json")):
        time.sleep(0.01)
    process.kill()
    _, messages = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, messages.decode()
    assert list(state.glob("*/proposed.json"))
    process = often("--resume", "runs/killed")
    _, messages = process.communicate(timeout=200)
    assert process.returncode == 0, messages.decode()
    assert left("killed") == left("whole")
