"""Plans on a device: short memory, what is said of other bits, and that nothing is left on the CPU."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from narrower.data.datasets import DataSet
from narrower.errors import ModelError, SettingsError
from narrower.evaluate.backends.devices_here import resolved_device
from narrower.evaluate.backends.one_device import OneDevice
from narrower.evaluate.backends.settings import BackendSettings
from narrower.evaluate.compile_steps import compile_steps
from narrower.evaluate.graph_engine import GraphEngine
from narrower.evaluate.program_engine import ProgramEngine
from narrower.evaluate.steps import Steps
from narrower.graph.program import Program
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan
from narrower.tasks.quality import Quality

ROOT = Path(__file__).parents[3]
SKIPPED = 77  # the exit code of elsewhere.py
PLANS = [Plan.of({"seq_blocks.2": LayerPlan(weight=FixedPoint(width, 1))}) for width in range(2, 9)]


class Small:
    """An engine whose device has room for a quarter of the samples at a time."""

    layers = ("a",)

    def __init__(self, halvings: int = -1, needed: int = 2) -> None:
        self.halvings, self.needed = halvings, needed

    def warm_up(self) -> None:
        pass

    def on(self, _device: str, halvings: int) -> "Small":
        return Small(halvings, self.needed)

    def score(self, plans: Sequence[Plan], _loss: bool) -> list[Quality]:
        if 0 <= self.halvings < self.needed:
            raise torch.OutOfMemoryError("no room")
        return [Quality(10, {"accuracy": 0.5 if self.halvings < 0 else 0.7}) for _ in plans]


def test_short_memory_halves_the_batch_and_is_said() -> None:
    said: list[str] = []
    device = OneDevice(BackendSettings("device"), said.append)
    device.start(Small())
    assert [quality.metrics["accuracy"] for quality in device.score(PLANS, False)] == [0.7] * len(PLANS)
    halved = "cpu: out of memory; going on with half as much at a time"
    assert said == [halved, halved, "cpu and cpu differ on 4 plans in accuracy by at most 0.2"]
    device.score(PLANS, False)
    assert len(said) == 3


def test_where_one_sample_does_not_fit_there_is_an_end() -> None:
    device = OneDevice(BackendSettings("device"), lambda _: None)
    device.start(Small(needed=100))
    with pytest.raises(ModelError, match="no memory for one sample"):
        device.score(PLANS, False)


def test_short_memory_is_no_failure_of_a_plan(
    jsc_toy_lowered: Program, jets: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine lets it through, so that the backend can halve the batch; anything else fails the plan."""
    engine = GraphEngine(compile_steps(jsc_toy_lowered), jets.validation.first(50), 50, 2**24)

    def raising(error: Exception) -> Callable[..., None]:
        def run(*_: object) -> None:
            raise error

        return run

    monkeypatch.setattr(Steps, "run", raising(ValueError("no")))
    assert "no" in str(engine.score(PLANS[:1], loss=False, own={})[0].failure)
    monkeypatch.setattr(Steps, "run", raising(torch.OutOfMemoryError("no room")))
    with pytest.raises(torch.OutOfMemoryError):
        engine.score(PLANS[1:2], loss=False, own={})


def test_an_engine_that_moved_gives_the_same(jsc_toy_lowered: Program, jets: DataSet) -> None:
    engine = ProgramEngine(jsc_toy_lowered, jets.validation.first(500), 128, {}, 2**24)
    assert engine.on("cpu", 1).score(PLANS, True) == engine.score(PLANS, True)


def test_nothing_is_left_on_the_cpu() -> None:
    """In a process of its own: a new kind of device is there for the whole process."""
    script = Path(__file__).with_name("elsewhere.py")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode == SKIPPED:
        pytest.skip("this PyTorch has no backends written in Python")
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) >= {"residual", "attention", "einsums", "transposed"}


def test_a_device_that_is_not_here_is_named() -> None:
    assert resolved_device("cpu") == "cpu"
    if not torch.cuda.is_available():
        with pytest.raises(SettingsError, match=r"device: found 'cuda:1', which is not here; here: .*cpu"):
            resolved_device("cuda:1")
