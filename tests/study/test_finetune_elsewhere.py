"""Finetuning by the workers of a backend leaves what one process leaves, bit for bit."""

import json
import multiprocessing
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from torch import nn

from narrower.evaluate.backends.settings import BackendSettings
from narrower.models.checkpoint_files import metadata_of
from narrower.study.training_work import PROBE_BATCHES
from narrower.training.core import Core
from narrower.training.finetuning import Finetuning
from narrower.training.recipe import Recipe
from tests.study.test_finetune import RECIPE, Study, blobs
from tests.study.test_finetune import model as model  # noqa: PLC0414 - a fixture

SHORT = replace(RECIPE, max_epochs=2)
EVERY = list(range(10))
WAYS = {
    "front": Finetuning(SHORT),
    "rounds": Finetuning(RECIPE, rounds=2),
    "seeds": Finetuning(SHORT, seeds=3),
    "folds": Finetuning(SHORT, folds=2, float_recipe=Recipe(max_epochs=1)),
    "the best epoch": Finetuning(replace(RECIPE, patience=2, average=0.9)),
}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small groups, which come back after each epoch."""
    monkeypatch.setattr("narrower.study.staged_training.MOST_TOGETHER", 4)
    monkeypatch.setattr("narrower.study.training_work.LEG_SECONDS", 0.0)


@pytest.fixture
def trained_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], set[int]]:
    """The processes in which epochs passed since this was asked last."""
    epoch, seen = Core.epoch, tmp_path / "seen"
    seen.mkdir()

    def counts(core: Core, *arguments: Any) -> None:
        epoch(core, *arguments)
        (seen / str(os.getpid())).touch()

    monkeypatch.setattr(Core, "epoch", counts)

    def found() -> set[int]:
        files = list(seen.iterdir())
        for file in files:
            file.unlink()
        return {int(file.name) for file in files}

    return found


def content(file: Path) -> Any:
    """What a file holds; that of safetensors has its own order of words."""
    if file.suffix != ".safetensors":
        return file.read_bytes()
    return {name: tensor.numpy().tobytes() for name, tensor in load_file(file).items()}, metadata_of(file)


def left(study: Study, how: Finetuning, backend: BackendSettings) -> dict[str, Any]:
    """Everything that a finetuning leaves."""
    study.problem = replace(study.problem, backend=backend)
    study.finetune(how, EVERY)
    path = study.run.path
    record = json.loads((path / "finetuned.json").read_text(encoding="utf-8"))
    record["seconds"] = 0
    files = {
        str(file.relative_to(path)): content(file)
        for part in ("finetuned", "models")
        for file in (path / part).rglob("*")
        if file.is_file() and file.name != "identity.txt"
    }
    return {"record": record, **files}


@pytest.mark.parametrize("way", WAYS)
def test_processes_leave_what_one_leaves(
    way: str,
    model: nn.Module,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    trained_in: Callable[[], set[int]],
) -> None:
    kept, where = [], []
    for jobs in (1, 2):
        study = Study(model, blobs(), tmp_path / str(jobs), monkeypatch)
        trained_in()
        kept.append(left(study, WAYS[way], BackendSettings("processes", jobs=jobs)))
        where.append(trained_in())
    assert kept[0] == kept[1]
    assert len(kept[0]) > len(EVERY)
    assert where[0] == {os.getpid()}
    assert len(where[1]) == 2


def test_a_worker_that_is_killed_in_a_training_changes_nothing(
    model: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    how, here, epoch, killed = WAYS["rounds"], os.getpid(), Core.epoch, tmp_path / "killed"
    one = left(Study(model, blobs(), tmp_path / "one", monkeypatch), how, BackendSettings())

    def fragile(core: Core, *arguments: Any) -> None:
        if os.getpid() != here and not killed.exists():
            killed.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        epoch(core, *arguments)

    monkeypatch.setattr(Core, "epoch", fragile)
    two = left(Study(model, blobs(), tmp_path / "two", monkeypatch), how, BackendSettings(jobs=2))
    assert killed.exists()
    assert one == two


def test_what_goes_wrong_in_a_worker_is_raised_here_as_in_one_process(
    model: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def wrong(*_: Any) -> None:
        raise LookupError("of the user's own")

    study = Study(model, blobs(), tmp_path / "run", monkeypatch)
    monkeypatch.setattr(Core, "epoch", wrong)
    with pytest.raises(LookupError, match="of the user's own"):
        left(study, WAYS["front"], BackendSettings(jobs=2))
    assert "Traceback" not in capfd.readouterr().err
    assert not multiprocessing.active_children()


@pytest.mark.slow  # Ray takes ten seconds to start
def test_workers_of_ray_leave_what_one_process_leaves(
    model: nn.Module,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    trained_in: Callable[[], set[int]],
) -> None:
    pytest.importorskip("ray")
    steps: list[int] = []
    one = left(Study(model, blobs(), tmp_path / "one", monkeypatch), WAYS["folds"], BackendSettings())
    epoch = Core.epoch

    def counts(core: Core, *arguments: Any) -> None:
        epoch(core, *arguments)
        steps.append(core.steps)

    monkeypatch.setattr(Core, "epoch", counts)
    two = left(
        Study(model, blobs(), tmp_path / "two", monkeypatch),
        WAYS["folds"],
        BackendSettings("ray", address="local", max_workers=2),
    )
    assert one == two
    assert steps == [PROBE_BATCHES]  # here, the first groups for two batches, to compare bits
