"""hls4ml compiles networks in its own form, with and without convolutions, and computes the same.

Our batch norms are float32, hls4ml's are fixed point: with 32 bits of fraction the rounded values between the
layers are equal, and the outputs differ by float32's own rounding. Compiled by the interpreter that
NARROWER_HLS4ML_PYTHON names, or by this one.
"""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from narrower.export.hls4ml_form import hls4ml_form
from narrower.export.onnx_model import to_onnx
from narrower.export.own_outputs import own_outputs
from narrower.graph.lower import lower
from narrower.graph.program import Program
from narrower.graph.trace import trace
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan

PYTHON = os.environ.get("NARROWER_HLS4ML_PYTHON", sys.executable)
SCRIPT = Path(__file__).with_name("run_hls4ml.py")
SAMPLES = 300
EIGHT, SIX, FOUR = FixedPoint(8, 4), FixedPoint(6, 3), FixedPoint(4, 2)
UNSIGNED = FixedPoint(6, 3, signed=False)
MIXED = (LayerPlan(EIGHT, FOUR, EIGHT), LayerPlan(UNSIGNED, EIGHT, FOUR), LayerPlan(SIX, FOUR, FOUR))


@cache
def has_hls4ml() -> bool:
    """Whether the interpreter finds hls4ml, and there is a compiler for what it writes."""
    asked = [PYTHON, "-c", "import hls4ml, qonnx"]
    found = subprocess.run(asked, capture_output=True, check=False).returncode == 0
    return found and shutil.which("g++") is not None


def of_hls4ml(program: Program, plan: Plan, inputs: Tensor, directory: Path) -> NDArray[np.float32]:
    """What the compiled project gives for some samples."""
    if not has_hls4ml():
        pytest.skip("needs hls4ml, qonnx and g++")
    model, samples, outputs = (directory / name for name in ("model.onnx", "inputs.npy", "outputs.npy"))
    onnx.save(hls4ml_form(to_onnx(program, plan, dialect="qonnx", batch_size=1)), model)
    np.save(samples, inputs.numpy() if inputs.dim() == 2 else inputs.movedim(1, -1).numpy())
    command = [PYTHON, str(SCRIPT), *map(str, (model, samples, outputs, directory / "hls"))]
    done = subprocess.run(command, capture_output=True, text=True, cwd=directory, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-2000:]
    found: NDArray[np.float32] = np.load(outputs)
    return found


def seen(model: nn.Module, inputs: Tensor) -> nn.Module:
    """The model with batch norms that have seen samples."""
    model.train()
    with torch.no_grad():
        for _ in range(20):
            model(inputs)
    return model.eval()


def dense() -> tuple[nn.Module, Tensor]:
    inputs = torch.randn(SAMPLES, 12)
    layers = [
        nn.BatchNorm1d(12),
        nn.Linear(12, 10),
        nn.BatchNorm1d(10),
        nn.ReLU(),
        nn.Linear(10, 8),
        nn.ReLU(),
    ]
    return nn.Sequential(*layers, nn.Linear(8, 4)), inputs


def convolutional() -> tuple[nn.Module, Tensor]:
    inputs = torch.randn(SAMPLES, 2, 6, 6)
    layers = [nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 4, 2), nn.ReLU(), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(36, 4)), inputs


@pytest.mark.slow
@pytest.mark.parametrize("plan", ["uniform", "mixed"])
@pytest.mark.parametrize("network", [dense, convolutional])
def test_hls4ml_computes_what_its_form_says(network: object, plan: str, tmp_path: Path) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, inputs = network()  # type: ignore[operator]
        model = seen(model, inputs)
    program = lower(trace(model, inputs[:3], "net"))
    layers = MIXED if plan == "mixed" else (LayerPlan(EIGHT, SIX, EIGHT),) * 3
    chosen = Plan.of(dict(zip(program.network.product_layers, layers, strict=True)))
    ours = own_outputs(program, chosen, inputs)
    theirs = of_hls4ml(program, chosen, inputs, tmp_path)
    assert np.ptp(ours, axis=0).min() > 0  # the outputs say something
    np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-5)
    # where two outputs are equal to float32's last bit, either may be the largest
    assert (theirs.argmax(axis=1) == ours.argmax(axis=1)).mean() > 0.99
