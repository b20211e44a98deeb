"""Convolutions are multiplied in integers where that gives the same bits, and only there."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from narrower.evaluate.definition import defined_outputs
from narrower.export.convolutions import find_convolutions
from narrower.export.execute import onnx_session, run_onnx
from narrower.export.onnx_model import to_onnx
from narrower.export.rounding import Packing
from narrower.graph.folding import fold_batch_norm
from narrower.graph.lower import lower
from narrower.graph.program import Program
from narrower.graph.trace import trace
from narrower.models.build import build_model
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.plan import LayerPlan, Plan
from tests.conftest import with_statistics
from tests.export.plans import uniform


class Chain(nn.Module):
    """Convolutions in a row; two read what the second gives, and an addition reads what they give."""

    def __init__(self) -> None:
        super().__init__()
        self.signed, self.inner = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.left, self.right = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 1, bias=False)
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.inner(F.relu(self.signed(x))))
        return self.head((self.left(x) + self.right(x)).mean((2, 3)))


def _chain() -> tuple[Program, Tensor]:
    torch.manual_seed(0)
    inputs = torch.randn(40, 3, 8, 8)
    return lower(trace(Chain().eval(), inputs, "chain")), inputs


def _operators(path: Path) -> Counter[str]:
    dump = path.with_name("run.onnx")
    onnx_session(path, dump=dump)
    return Counter(node.op_type for node in onnx.load(dump).graph.node)


def _check_equal(
    program: Program, plan: Plan, inputs: Tensor, path: Path, packing: Packing = "speed"
) -> None:
    path.write_bytes(to_onnx(program, plan, packing=packing).SerializeToString())
    wanted = defined_outputs(program, plan, inputs).numpy()
    for optimised in (True, False):
        np.testing.assert_array_equal(run_onnx(path, inputs, optimised=optimised), wanted)


@pytest.mark.parametrize(("width", "data_frac", "weight_frac"), [(8, 4, 9), (5, 2, 4), (3, 1, 2), (1, 0, 0)])
def test_convolutions_between_roundings_are_integers_bit_for_bit(
    width: int, data_frac: int, weight_frac: int, tmp_path: Path
) -> None:
    program, inputs = _chain()
    plan = uniform(program, width, data_frac, weight_frac)
    path = tmp_path / "m.onnx"
    _check_equal(program, plan, inputs, path, "size")
    _check_equal(program, plan, inputs, path)
    assert _operators(path)["QLinearConv"] >= 1
    named = {node.meta["layer"] for node in find_convolutions(program, plan).in_integers}
    # Signed bytes times weights of 8 bits could saturate 16 bits: 255 * 2 * 98 > 32767.
    assert named == ({"inner"} if width == 8 else {"signed", "inner"})


def test_folded_networks_gain_kernels_and_change_no_bit(tmp_path: Path) -> None:
    torch.manual_seed(0)
    inputs = torch.randn(40, 3, 32, 32)
    model = with_statistics(build_model("resnet20"), inputs).eval()
    separate = lower(trace(model, inputs, "resnet20"))
    assert find_convolutions(separate, uniform(separate, 8, 4, 7)).in_integers == {}
    folded = lower(trace(fold_batch_norm(model, inputs[:3]), inputs, "resnet20"))
    path = tmp_path / "m.onnx"
    _check_equal(folded, uniform(folded, 8, 4, 7), inputs, path)
    assert _operators(path)["QLinearConv"] == 9  # the first of the two in every block


def test_a_bias_off_the_grid_of_the_product_keeps_a_convolution_in_float32(tmp_path: Path) -> None:
    program, inputs = _chain()
    layer = LayerPlan(FixedPoint(6, 3), FixedPoint(6, 5), FixedPoint(12, 9))
    plan = Plan.of({n.meta["layer"]: layer for n in program.graph.nodes if "layer" in n.meta})
    found = find_convolutions(program, plan)
    assert (found.in_integers, {node.meta["layer"] for node in found.in_float32}) == ({}, set())
    _check_equal(program, plan, inputs, tmp_path / "m.onnx")


@pytest.mark.parametrize("data", [FLOAT32, FixedPoint(20, 10)])
@pytest.mark.parametrize("packing", ["speed", "size"])
def test_the_runtime_does_not_round_data_where_weights_are_integers(
    data: NumberFormat, packing: Packing, tmp_path: Path
) -> None:
    """ONNX Runtime turns a product of float32 with DequantizeLinear into one of 8 bits."""
    layers = {f"seq_blocks.{i}": LayerPlan(data, FixedPoint(width, 3)) for i, width in ((2, 4), (5, 8))}
    assert _largest_difference("jsc-toy", Plan.of(layers), (16,), tmp_path, packing) < 1e-6


@pytest.mark.parametrize(("name", "shape"), [("jsc-toy", (16,)), ("digits-cnn", (1, 8, 8))])
def test_the_runtime_does_not_round_weights_where_data_are_integers(
    name: str, shape: tuple[int, ...], tmp_path: Path
) -> None:
    """ONNX Runtime rounds constant weights to 8 bits between DequantizeLinear and QuantizeLinear."""
    model = build_model(name)
    products = trace(model.eval(), torch.randn(3, *shape)).network.product_layers
    plan = Plan.of({layer: LayerPlan(FixedPoint(8, 4), FLOAT32, FLOAT32) for layer in products})
    assert _largest_difference(name, plan, shape, tmp_path, "speed") < 1e-6


def _largest_difference(
    name: str, plan: Plan, shape: tuple[int, ...], directory: Path, packing: Packing
) -> float:
    torch.manual_seed(0)
    inputs = torch.randn(100, *shape)
    model = fold_batch_norm(with_statistics(build_model(name), inputs).eval(), inputs[:3])
    program = lower(trace(model, inputs, name))
    path = directory / "m.onnx"
    path.write_bytes(to_onnx(program, plan, packing=packing).SerializeToString())
    wanted = defined_outputs(program, plan, inputs).numpy()
    return float(np.abs(run_onnx(path, inputs) - wanted).max())
