"""The models of docs/sounds.md run in C as they are scored, in formats of operands and of edges."""

from pathlib import Path

import pytest
import torch
from torch import nn

from narrower.evaluate.int8_plan import int8_plan_of
from narrower.export.device.compiled import Build
from narrower.models.build import build_model
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan
from tests.export.device.agree import differing, for_all, lowered, needs_gcc, random_inputs

pytestmark = needs_gcc
MODELS = {"ds-cnn": (1, 49, 10), "dense-autoencoder": (640,)}
PLAIN = Build("gcc", ("-O2",))


def seen(name: str, inputs: torch.Tensor) -> nn.Module:
    """The model with batch norms that have seen samples."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build_model(name).train()
        with torch.no_grad():
            model(inputs)
    return model.eval()


@pytest.mark.parametrize("quantize", ["operands", "edges"])
@pytest.mark.parametrize("name", MODELS)
def test_a_model_agrees(name: str, quantize: str, tmp_path: Path) -> None:
    inputs = random_inputs(8, *MODELS[name])
    program = lowered(seen(name, inputs), inputs)
    plan = for_all(program, LayerPlan(FixedPoint(8, 4), FixedPoint(4, 5), FixedPoint(8, 5)))
    if quantize == "edges":
        plan = int8_plan_of(program, (inputs,))
    count, network = differing(program, plan, inputs, tmp_path, build=PLAIN)
    assert count == 0
    assert network.ram_bytes < 64 * 1024
