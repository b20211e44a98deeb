"""Networks of bytes in ONNX Runtime: all in integer kernels, and equal to our evaluation."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from narrower.data.datasets import load_data_set
from narrower.evaluate.definition import defined_outputs
from narrower.evaluate.int8_plan import int8_plan, int8_plan_of
from narrower.evaluate.processor import saturates_pairs
from narrower.export.deliver import export_plan
from narrower.export.edge_gate import edge_differences
from narrower.export.exactness import inexact_operators
from narrower.export.execute import onnx_session, run_onnx
from narrower.export.onnx_model import build_onnx
from narrower.export.plan_latency import LatencyMeter
from narrower.export.subject import Subject, Wishes
from narrower.graph.folding import fold_batch_norm
from narrower.graph.lower import lower
from narrower.graph.program import Program
from narrower.graph.trace import trace
from narrower.models.build import build_model
from narrower.models.image_models import BasicBlock
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.plan import LayerPlan, Plan
from tests.edge_zoo import Joined, Mobile, Residual

needs_byte_products = pytest.mark.skipif(saturates_pairs(), reason="this processor adds pairs in 16 bits")
X = torch.randn(48, 3, 8, 8, generator=torch.Generator().manual_seed(1))


class Block(nn.Module):
    """[N, 3, 8, 8] -> [N, 5] with batch norms and a shortcut with a convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.block = BasicBlock(8, 16, 2)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.fc(self.pool(self.block(self.first(x))).flatten(1))
        return scores


def folded(model: nn.Module) -> Program:
    with torch.no_grad():
        for _ in range(5):
            model(torch.randn(32, 3, 8, 8))  # running statistics
    return lower(trace(fold_batch_norm(model.eval(), X[:2]), X[:2]))


def optimised_operators(model: onnx.ModelProto, directory: Path) -> Counter[str]:
    """What ONNX Runtime makes of a model, read back from the file that it writes."""
    onnx_session(model.SerializeToString(), dump=directory / "optimised.onnx")
    return Counter(node.op_type for node in onnx.load(directory / "optimised.onnx").graph.node)


@needs_byte_products
@pytest.mark.parametrize("scales", ["power_of_two", "free"])
@pytest.mark.parametrize(
    ("model", "kernels"),
    [
        (Block(), {"QLinearConv": 4, "QLinearAdd": 1, "QLinearGlobalAveragePool": 1, "QGemm": 1}),
        (Residual(), {"QLinearConv": 3, "QLinearAdd": 1, "QLinearGlobalAveragePool": 1, "QGemm": 1}),
        (Mobile(), {"QLinearConv": 4, "QLinearAdd": 1, "QLinearGlobalAveragePool": 1, "QGemm": 1}),
        (Joined(), {"QLinearConv": 3, "QLinearConcat": 1, "NhwcMaxPool": 1, "QGemm": 1}),
    ],
    ids=["block", "residual", "mobile", "concat"],
)
def test_the_whole_network_runs_in_integer_kernels(
    model: nn.Module, kernels: dict[str, int], scales: str, tmp_path: Path
) -> None:
    program = folded(model)
    plan = int8_plan_of(program, [X], scales=scales)
    operators = optimised_operators(build_onnx(program, plan).model, tmp_path)
    moving = {"Transpose", "Reshape", "Flatten", "Squeeze", "QuantizeLinear", "Clip"}
    assert {name: count for name, count in operators.items() if name not in moving} == kernels
    assert operators["QuantizeLinear"] == 1  # of the input


@pytest.mark.parametrize("model", [Block(), Residual(), Mobile(), Joined()], ids=lambda m: type(m).__name__)
def test_with_powers_of_two_kernels_and_evaluation_are_equal_bit_for_bit(
    model: nn.Module, tmp_path: Path
) -> None:
    program = folded(model)
    plan = int8_plan_of(program, [X])
    built = build_onnx(program, plan)
    assert inexact_operators(program, plan) == built.inexact == ()
    path = tmp_path / "model.onnx"
    path.write_bytes(built.model.SerializeToString())
    wide = 3 * X  # beyond what was calibrated: edges saturate
    for inputs in (X, wide):
        expected = defined_outputs(program, plan, inputs).numpy()
        for optimised in (True, False):
            assert np.array_equal(run_onnx(path, inputs, optimised=optimised), expected)
    found = edge_differences(program, plan, X)
    assert found is not None
    assert found.elements > 0
    assert found.differing == 0


@needs_byte_products
def test_with_free_scales_some_numbers_are_one_step_away_and_counted() -> None:
    program = folded(Block())
    plan = int8_plan_of(program, [X], scales="free")
    found = edge_differences(program, plan, X)
    assert found is not None
    assert found.most_steps <= 1
    assert found.differing < found.elements / 500
    assert "numbers on edges" in found.note


def test_what_integer_kernels_round_otherwise_is_named() -> None:
    program = folded(Residual())
    exact = int8_plan_of(program, [X])
    changed = {
        **dict(exact.layers),
        "second": LayerPlan(weight=exact.layer("second").weight, output=exact.layer("second").output),
    }
    fine = build_onnx(program, Plan.of(changed))
    assert fine.fine_biases == ("second",)  # in float32, so that nothing is rounded otherwise
    assert fine.inexact == ()
    free = int8_plan_of(program, [X], scales="free")
    reasons = build_onnx(program, free).inexact
    assert "first: the scale of its output is no power of two" in reasons
    assert "first: its bias is rounded to steps of its products" in reasons


def _coarser(number_format: NumberFormat, width: int) -> NumberFormat:
    if not isinstance(number_format, FixedPoint):
        return number_format
    return FixedPoint(width, number_format.frac - 3, number_format.signed)


def test_formats_narrower_than_a_byte_are_cut_off_in_bytes(tmp_path: Path) -> None:
    program = folded(Mobile())
    plan = int8_plan_of(program, [X])
    narrow = {
        name: LayerPlan(weight=layer.weight, bias=_coarser(layer.bias, 16), output=_coarser(layer.output, 5))
        for name, layer in plan.layers
    }
    changed = Plan.of(narrow)
    path = tmp_path / "model.onnx"
    path.write_bytes(build_onnx(program, changed).model.SerializeToString())
    assert np.array_equal(run_onnx(path, 2 * X), defined_outputs(program, changed, 2 * X).numpy())


def test_a_processor_that_adds_pairs_in_16_bits_gets_float32_kernels(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = folded(Block())
    plan = int8_plan_of(program, [X])
    monkeypatch.setenv("NARROWER_VNNI", "off")
    built = build_onnx(program, plan)
    assert "block.conv1" in built.saturating_matrices
    path = tmp_path / "model.onnx"
    path.write_bytes(built.model.SerializeToString())
    assert "QLinearConv" not in optimised_operators(built.model, tmp_path)
    assert np.array_equal(run_onnx(path, X), defined_outputs(program, plan, X).numpy())


def test_where_integer_kernels_are_slower_the_artefact_is_float32_and_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model = build_model("digits-mlp").eval()
    data = load_data_set("digits")
    plan = int8_plan(fold_batch_norm(model, data.examples[0]), data.train.inputs[:64])
    subject = Subject(fold_batch_norm(model, data.examples[0]), "digits-mlp", plan, data)
    monkeypatch.setattr("narrower.export.deliver_onnx.slowdown", lambda *_: 1.37)
    slow = export_plan(subject, "onnx", tmp_path / "slow", Wishes(samples=1000))
    assert "1.37 times as long" in slow.notes[0]
    assert slow.plan == {}
    assert {n.op_type for n in onnx.load(slow.artefact).graph.node}.isdisjoint({"QuantizeLinear"})
    wishes = Wishes(samples=1000, keeps_integers=True)
    kept = export_plan(subject, "onnx", tmp_path / "kept", wishes)
    assert kept.mode == "exact"
    assert "QuantizeLinear" in {n.op_type for n in onnx.load(kept.artefact).graph.node}


@needs_byte_products
def test_kernels_and_bits_of_layers_are_told_by_their_edges() -> None:
    program = folded(Residual())
    meter = LatencyMeter(program, X, limit_seconds=0.01)
    found = meter.measure(int8_plan_of(program, [X]))
    kernels = {
        kernel.layer: (kernel.data_bits, kernel.weight_bits, kernel.kernel) for kernel in found.kernels
    }
    assert kernels == {
        **dict.fromkeys(("first", "second", "third"), (8, 8, "QLinearConv")),
        "fc": (8, 8, "QGemm"),
    }
    assert found.without_kernel == ()
    assert found.is_slower == (found.ratio_low > 1)
