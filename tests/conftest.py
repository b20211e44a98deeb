"""What every test may rely on: a directory of its own, and small things that are slow to make."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from narrower.cli.main import run
from narrower.data.datasets import DataSet, load_data_set
from narrower.graph.lower import lower
from narrower.graph.program import Program
from narrower.graph.trace import trace
from narrower.models.build import build_model
from narrower.store.run_directory import RunDirectory
from narrower.training.one_model import train
from narrower.training.recipe import Recipe

# Several test processes share the cores: more threads than cores make each of them many times slower.
torch.set_num_threads(1)

RunNarrower = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Runs land below the current directory: each test has one to itself, and no terminal's width.

    A module of the user's own that a test wrote there is forgotten after it: the next may use its name.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    yield
    here = f"{tmp_path}{os.sep}"
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(here):  # of thousands, after each test
            del sys.modules[name]


@pytest.fixture(scope="session")
def jets() -> DataSet:
    return load_data_set("jets")


@pytest.fixture(scope="session")
def jsc_toy(jets: DataSet) -> nn.Module:
    """jsc-toy whose batch norms have seen the data, so that quantized values are of the usual size."""
    return with_statistics(build_model("jsc-toy"), jets.train.inputs[:2000])


@pytest.fixture(scope="session")
def jsc_toy_program(jsc_toy: nn.Module, jets: DataSet) -> Program:
    return trace(jsc_toy, jets.train.inputs[:3], "jsc-toy")


@pytest.fixture(scope="session")
def jsc_toy_lowered(jsc_toy_program: Program) -> Program:
    return lower(jsc_toy_program)


def with_statistics(model: nn.Module, inputs: torch.Tensor) -> nn.Module:
    """The model with running statistics of ``inputs`` and batch norm scales that are not all one."""
    generator = torch.Generator().manual_seed(7)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5, generator=generator)
            nn.init.uniform_(module.bias, -0.5, 0.5, generator=generator)
    model.train()
    with torch.no_grad():
        for _ in range(20):
            model(inputs)
    return model.eval()


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, jets: DataSet) -> Path:
    """Weights of jsc-toy after one epoch on the jets."""
    directory = tmp_path_factory.mktemp("trained")
    settings = Recipe(max_epochs=1, batch_size=256, learning_rate=1e-2)
    result = train(build_model("jsc-toy"), jets, settings, directory, show_progress=False)
    return result.best_checkpoint


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> RunDirectory:
    """A finished search of twelve plans with everything that belongs to it: copy it before changing it."""
    directory = tmp_path_factory.mktemp("small")
    before = Path.cwd()
    os.chdir(directory)  # runs land below the current directory
    try:
        options = "--model jsc-toy --dataset jets --samples 256 --trials 12 --sampler random --project small"
        assert run(["search", *options.split(), "--load", str(trained)]) == 0
    finally:
        os.chdir(before)
    return RunDirectory(directory / "runs" / "small")


@pytest.fixture
def run_narrower(capfd: pytest.CaptureFixture[str]) -> RunNarrower:
    """Call the command line in this process: exit code, stdout, stderr."""

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        capfd.readouterr()
        code = run([str(argument) for argument in arguments])
        return code, *capfd.readouterr()

    return call
