"""A large network takes a few times its weights of memory, whatever is done with it."""

import gc
import os
import sys
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from narrower.data.parts import Part
from narrower.evaluate import calibration
from narrower.evaluate.calibration import Calibration
from narrower.evaluate.graph_engine import GraphEngine
from narrower.evaluate.program_engine import ProgramEngine
from narrower.evaluate.steps import Steps
from narrower.graph.lower import lower
from narrower.graph.program import with_weights
from narrower.graph.trace import trace
from narrower.graph.watched_chain import watched_chain
from narrower.models.checkpoints import load_weights
from narrower.models.rows_at_once import rows_at_once
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan
from tests.conftest import RunNarrower

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads and resets the peak in /proc")
OWN = """
import torch
from torch import nn

class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, x):
        return torch.relu(x + self.linear(x))

def net(width):
    return nn.Sequential(nn.Linear(16, width), *(Block(width) for _ in range(5)), nn.Linear(width, 4))

def small():
    return net(8)

def large():
    return net(1024)

def samples():
    chance = torch.Generator().manual_seed(0)
    return torch.randn(200, 16, generator=chance), torch.arange(200) % 4
"""
WEIGHTS = 5 * 1024 * 1024 * 4  # bytes, of ``large``


def peak_growth(work: Callable[[], object]) -> int:
    """By how many bytes the process grew at the most while it did some work."""
    gc.collect()
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    except OSError:
        pytest.skip("this system does not let a process reset its peak")
    before = of_status("VmRSS")
    work()
    return of_status("VmHWM") - before


def of_status(name: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


@LINUX
@pytest.mark.parametrize("command", ["profile", "sensitivity", "search"])
def test_commands_take_a_few_times_the_weights(run_narrower: RunNarrower, command: str) -> None:
    Path("big.py").write_text(OWN)
    sys.path.insert(0, os.getcwd())
    try:
        import big  # type: ignore[import-not-found]

        growth = {}
        for size in ("small", "large"):  # the first imports what is imported once
            save_file(getattr(big, size)().state_dict(), f"{size}.safetensors")
            load = ["--load", f"{size}.safetensors"]
            few = ["--samples", 32, "--trials", 12, "--cache-memory", "40MiB"]
            search = [*few, "--data-widths", "8", "--weight-widths", "4,6,8", "--sampler", "random"]
            arguments = {
                "profile": [f"big:{size}", "big:samples", *load],
                "sensitivity": [f"big:{size}", "big:samples", *load, "--widths", "8,4"],
                "search": ["--model", f"big:{size}", "--dataset", "big:samples", *load, *search],
            }[command]

            def work(arguments: list[object] = arguments) -> None:
                code, _, err = run_narrower(command, *arguments)
                assert code == 0, err

            growth[size] = peak_growth(work)
    finally:
        sys.path.remove(os.getcwd())
    assert growth["large"] < 9 * WEIGHTS


class Residual(nn.Module):
    """Three products beside shortcuts, so that it is no chain."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(6))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = x + layer(x)
        return x


def test_rounded_weights_keep_to_their_budget_while_a_plan_reads_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(0)
    model, inputs = Residual().eval(), torch.randn(8, 32)
    program = lower(trace(model, inputs[:3]))
    alive: dict[int, int] = {}
    most = 0
    run = Steps.run

    def watched(self: Steps, index: int, values: object, formats: object) -> object:
        nonlocal most
        found = run(self, index, values, formats)  # type: ignore[arg-type]
        step = self.steps[index]
        if step.slot is not None and step.inputs[0] in self.constants:
            alive[id(found)] = found.nbytes
            weakref.finalize(found, alive.pop, id(found), None)
            most = max(most, sum(alive.values()))
        return found

    monkeypatch.setattr(Steps, "run", watched)
    monkeypatch.setattr("narrower.evaluate.graph_engine._weights_share", lambda _steps, _capacity: budget)
    each = 32 * 32 * 4
    budget = 2 * each + 4096
    engine = ProgramEngine(program, Part(inputs, torch.zeros(8, dtype=torch.int64)), 8, {}, 2**20)
    plans = [
        Plan.of({f"layers.{n}": LayerPlan(weight=FixedPoint(bits + n % 2, 4)) for n in range(6)})
        for bits in range(3, 8)
    ]
    qualities = engine.score(plans, loss=False)
    assert all(quality.failure is None for quality in qualities)
    assert 2 * each <= most <= budget + each


def test_a_program_of_ones_own_model_holds_its_weights_once() -> None:
    model, example = Residual().eval(), torch.randn(3, 32)
    program = trace(model, example)
    other = Residual().eval()
    held = {tensor.data_ptr() for tensor in other.parameters()}
    shared, copied = with_weights(program, other, shared=True), with_weights(program, other)
    assert shared is not None
    assert copied is not None
    assert {tensor.data_ptr() for tensor in shared.tensors.values()} == held
    assert not {tensor.data_ptr() for tensor in copied.tensors.values()} & held


def test_a_network_that_can_be_no_chain_is_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_model: nn.Module) -> nn.Module:
        raise AssertionError("copied")

    monkeypatch.setattr("narrower.graph.watched_chain.own_copy", refuse)
    model = nn.Sequential(nn.Conv1d(3, 4, 1), nn.Flatten(), nn.Linear(8, 2)).eval()
    assert watched_chain(model, torch.randn(3, 3, 2), "no chain") is None


@pytest.mark.parametrize("kind", ["zip", "old"])
def test_checkpoints_of_torch_are_mapped_where_they_can_be(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    saved, model = Residual(), Residual()
    torch.save(saved.state_dict(), "weights.pt", _use_new_zipfile_serialization=kind == "zip")
    asked: list[bool] = []
    load = torch.load
    monkeypatch.setattr(torch, "load", lambda *a, **k: asked.append(k["mmap"]) or load(*a, **k))
    loaded = load_weights(model, Path("weights.pt"))
    assert asked == [kind == "zip"]
    for name, tensor in saved.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)
    Path("weights.pt").write_bytes(b"something else")  # the model holds what it has read
    assert torch.equal(loaded.state_dict()["layers.0.weight"], saved.state_dict()["layers.0.weight"])


@pytest.mark.parametrize("at_once", [1, 3, 7, 20])
def test_calibration_in_pieces_sees_the_same_values(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    torch.manual_seed(0)
    program = lower(trace(Residual().eval(), torch.randn(3, 32)))
    inputs = torch.randn(20, 32)
    monkeypatch.setattr(calibration, "LARGEST_SAMPLE", 37)  # a part of them
    whole = calibration._operands(program, [inputs])
    fractions = Calibration(program, inputs)
    wanted = [fractions.fraction(f"layers.{n}", "data", 8) for n in range(6)]
    monkeypatch.setattr(calibration, "LARGEST_VALUE", at_once * 32)
    pieces = calibration._operands(program, [inputs])
    assert pieces.keys() == whole.keys()
    for slot, values in whole.items():
        together = torch.cat([piece.flatten() for piece in pieces[slot]])
        torch.testing.assert_close(together, torch.cat([value.flatten() for value in values]))
    again = Calibration(program, inputs)
    assert [again.fraction(f"layers.{n}", "data", 8) for n in range(6)] == wanted


def test_fewer_samples_go_at_once_through_a_model_with_large_values() -> None:
    part = Part(torch.randn(5, 4), torch.zeros(5, dtype=torch.int64))
    wide = nn.Sequential(nn.Linear(4, 2**20), nn.Linear(2**20, 1, bias=False))
    assert rows_at_once(wide, part, 1024) == 16  # of 4 MiB each, 64 MiB together
    assert rows_at_once(nn.Linear(4, 2), part, 1024) == 1024


def test_what_is_released_is_computed_again() -> None:
    torch.manual_seed(0)
    inputs = torch.randn(8, 32)
    program = lower(trace(Residual().eval(), inputs[:3]))
    engine = ProgramEngine(program, Part(inputs, torch.zeros(8, dtype=torch.int64)), 4, {}, 2**24)
    plan = Plan.of({f"layers.{n}": LayerPlan(FixedPoint(8, 4), FixedPoint(6, 4)) for n in range(6)})
    before = engine.own_outputs(plan)
    graph = engine._engine
    assert isinstance(graph, GraphEngine)
    assert graph._weights._bytes > 0
    assert all(held._bytes > 0 for held in graph._held)
    engine.release()
    assert graph._weights._bytes == 0
    assert all(held._bytes == 0 for held in graph._held)
    assert torch.equal(engine.own_outputs(plan), before)
    assert torch.equal(engine.outputs(plan, inputs), before)
