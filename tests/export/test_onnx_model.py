"""Exported graphs compute what the plain evaluation of the plan computes."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from narrower.data.sizes import Sizes
from narrower.errors import ExportError
from narrower.evaluate.definition import defined_outputs
from narrower.export.exactness import inexact_operators
from narrower.export.execute import run_onnx, run_qonnx
from narrower.export.onnx_model import to_onnx
from narrower.graph.lower import lower
from narrower.graph.program import Program
from narrower.graph.trace import trace
from narrower.models.build import build_model
from narrower.plan.plan import LayerPlan, Plan
from tests import zoo
from tests.export.plans import uniform

SHIPPED = {
    "jsc-toy": (16,),
    "jsc-trt": (16,),
    "digits-mlp": (1, 8, 8),
    "digits-cnn": (1, 8, 8),
    "resnet20": (3, 32, 32),
    "vgg7": (3, 8, 8),
}
EXACT = ["residual", "shared", "convolution1d", "views"]  # the others hold tanh or softmax


class Tokens(nn.Module):
    """A class token and an attention block, written out: expand, cat, select, layer norm, gelu, softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, activation="gelu", dropout=0.0)
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.cat([self.token.expand(x.shape[0], -1, -1), x], dim=1)
        return self.head(self.encoder(y)[:, 0])


def _exported(
    program: Program, plan: Plan, inputs: Tensor, path: Path, optimised: bool, **options: object
) -> np.ndarray:
    path.write_bytes(to_onnx(program, plan, **options).SerializeToString())  # type: ignore[arg-type]
    return run_onnx(path, inputs, optimised=optimised)


def _shipped(name: str) -> tuple[Program, Tensor]:
    torch.manual_seed(0)
    model = build_model(name, sizes=Sizes(SHIPPED[name], 10))
    inputs = torch.randn(40, *SHIPPED[name])
    with torch.no_grad():
        model.train()(inputs)
    return lower(trace(model.eval(), inputs, name)), inputs


@pytest.mark.parametrize("optimised", [True, False])
@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_models_are_equal_bit_for_bit(name: str, optimised: bool, tmp_path: Path) -> None:
    program, inputs = _shipped(name)
    for width, data_frac, weight_frac in ((8, 4, 7), (6, 3, 5), (4, 2, 3)):
        plan = uniform(program, width, data_frac, weight_frac)
        assert inexact_operators(program, plan) == ()
        found = _exported(program, plan, inputs, tmp_path / "m.onnx", optimised)
        np.testing.assert_array_equal(found, defined_outputs(program, plan, inputs).numpy())


@pytest.mark.parametrize("name", zoo.MODELS)
def test_models_of_many_shapes_are_close_and_equal_where_they_are_exact(name: str, tmp_path: Path) -> None:
    model, inputs = zoo.build(name)
    program = lower(trace(model, inputs, name))
    for plan in (Plan(), uniform(program, 8, 4, 7)):
        found = _exported(program, plan, inputs, tmp_path / "m.onnx", True)
        wanted = defined_outputs(program, plan, inputs).numpy()
        np.testing.assert_allclose(found, wanted, atol=1e-5)
        if name in EXACT and plan.layers:
            assert inexact_operators(program, plan) == ()
            np.testing.assert_array_equal(found, wanted)
        else:
            assert inexact_operators(program, plan)


def test_a_token_that_is_repeated_for_each_sample_works_at_every_batch_size(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, inputs = Tokens().eval(), torch.randn(7, 5, 8)
    program = lower(trace(model, inputs, "tokens"))
    wanted = model(inputs).detach().numpy()
    for size in (None, 3):
        found = _exported(program, Plan(), inputs, tmp_path / "m.onnx", True, batch_size=size)
        np.testing.assert_allclose(found, wanted, atol=1e-5)


class Activations(nn.Module):
    """One after the other, between convolutions that are padded by name."""

    def __init__(self) -> None:
        super().__init__()
        self.same = nn.Conv1d(3, 6, 4, padding="same", dilation=3)
        self.valid = nn.Conv1d(6, 4, 3, padding="valid")

    def forward(self, x: Tensor) -> Tensor:
        y = self.same(x)
        smooth = (
            F.silu(y) + F.elu(y, 0.7) + F.log_softmax(y, dim=1) + torch.exp(-y.abs()) + torch.sqrt(y.abs())
        )
        broken = F.leaky_relu(y, 0.2) + F.hardswish(y) + F.hardsigmoid(y) + F.relu6(y) + y.clip(-0.3, 0.4)
        return self.valid(torch.maximum(smooth, broken) - torch.minimum(smooth, y)).flatten(1)


def test_activations_are_close(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, inputs = Activations().eval(), 3 * torch.randn(50, 3, 20)
    program = lower(trace(model, inputs, "activations"))
    found = _exported(program, Plan(), inputs, tmp_path / "m.onnx", True)
    np.testing.assert_allclose(found, model(inputs).detach().numpy(), atol=1e-4)


@pytest.mark.parametrize("packing", ["speed", "size"])
@pytest.mark.parametrize("batch_size", [None, 16])
def test_neither_packing_nor_a_fixed_batch_changes_a_number(
    packing: str, batch_size: int | None, tmp_path: Path
) -> None:
    program, inputs = _shipped("digits-cnn")
    plan = uniform(program, 4, 2, 3)
    found = _exported(
        program, plan, inputs, tmp_path / "m.onnx", True, packing=packing, batch_size=batch_size
    )
    np.testing.assert_array_equal(found, defined_outputs(program, plan, inputs).numpy())
    shape = onnx.load(tmp_path / "m.onnx").graph.input[0].type.tensor_type.shape.dim[0]
    assert (shape.dim_param, shape.dim_value) == (("batch", 0) if batch_size is None else ("", 16))


@pytest.mark.parametrize("name", ["jsc-toy", "digits-cnn"])
def test_qonnx_is_equal_bit_for_bit(name: str, tmp_path: Path) -> None:
    pytest.importorskip("qonnx")
    program, inputs = _shipped(name)
    plan = uniform(program, 5, 2, 4)
    path = tmp_path / "m.onnx"
    path.write_bytes(to_onnx(program, plan, dialect="qonnx", batch_size=1).SerializeToString())
    np.testing.assert_array_equal(run_qonnx(path, inputs), defined_outputs(program, plan, inputs).numpy())


def test_qonnx_needs_a_batch_size() -> None:
    program, _ = _shipped("jsc-toy")
    with pytest.raises(ExportError, match="batch size"):
        to_onnx(program, Plan(), dialect="qonnx")


def test_a_layer_that_does_not_exist_is_named() -> None:
    program, _ = _shipped("jsc-toy")
    with pytest.raises(ExportError, match=r"seq_blocks\.99.*seq_blocks\.2"):
        to_onnx(program, Plan.of({"seq_blocks.99": LayerPlan(width=0.5)}))
