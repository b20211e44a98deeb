"""What the tools that read QONNX cannot hold, by layer or operator, before a file is written for one."""

from collections.abc import Callable, Iterator, Mapping

import onnx
from torch import fx

from narrower.errors import ExportError, unknown_name
from narrower.export.formats.catalogue import refusal
from narrower.export.formats.expression import Artefact
from narrower.export.onnx_model import to_onnx
from narrower.graph.network import PRODUCT_KINDS
from narrower.graph.nodes import base_name, is_weight, kind_of
from narrower.graph.program import Program
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.plan import ROUNDED, Plan

# Operators of ONNX that hls4ml 1.3 has a layer for (converters/onnx); qonnx makes MatMul of Gemm.
HLS4ML_OPERATORS = frozenset(
    {
        "Add", "AveragePool", "BatchNormalization", "Concat", "Conv", "Div", "Elu", "Flatten", "Gemm",
        "GlobalAveragePool", "GlobalMaxPool", "Identity", "LeakyRelu", "MatMul", "Max", "MaxPool", "Min",
        "Mul", "PRelu", "Pad", "Quant", "Relu", "Reshape", "Resize", "Selu", "Sigmoid", "Softmax", "Softplus",
        "Softsign", "Sub", "Sum", "Tanh", "Transpose",
    }
)  # fmt: skip
# Those that FINN streamlines into thresholds, products and windows.
FINN_OPERATORS = frozenset(
    {
        "Add", "BatchNormalization", "Concat", "Conv", "Div", "Flatten", "Gemm", "GlobalAveragePool",
        "Identity", "MatMul", "MaxPool", "Mul", "Quant", "Relu", "Reshape", "Sub", "Transpose",
    }
)  # fmt: skip
THRESHOLD_BITS = 8  # FINN turns no wider rounding of data into thresholds


def _hls4ml(program: Program, plan: Plan, model: onnx.ModelProto) -> Iterator[str]:
    del plan
    yield from _operators(model, HLS4ML_OPERATORS, "hls4ml 1.3 has no layer for it")
    for node in program.graph.nodes:
        if kind_of(node) in ("conv1d", "conv2d") and _groups(node) > 1:
            yield f"{node.meta['layer']}: hls4ml 1.3 reads no convolution in groups from ONNX"


def _finn(program: Program, plan: Plan, model: onnx.ModelProto) -> Iterator[str]:
    yield from _operators(model, FINN_OPERATORS, "FINN has no threshold, product or window for it")
    for node in program.graph.nodes:
        if node.op != "call_function" or kind_of(node) not in PRODUCT_KINDS:
            continue
        name = node.meta["layer"]
        layer, sources = plan.layer(name), [s for s in node.args if isinstance(s, fx.Node)]
        if plan.outputs:
            yield f"{name}: the plan rounds edges; FINN is written for plans that round operands"
            return
        if layer.weight == FLOAT32:
            yield f"{name}: its weight is float32; FINN multiplies whole numbers"
        for source in sources:
            if not is_weight(node, source, program.tensors) and (reason := _thresholds(layer.data, source)):
                yield f"{name}: its data is {layer.data.text}: {reason}"


def _thresholds(data: NumberFormat, source: fx.Node) -> str | None:
    """Why FINN cannot round data by thresholds; None: it can, but for ties, which go upwards in it."""
    if not isinstance(data, FixedPoint):
        return "FINN rounds to evenly spaced whole numbers"
    if data.width > THRESHOLD_BITS:
        return f"FINN makes thresholds of {THRESHOLD_BITS} bits at most"
    if data.rounding == "floor":
        return "FINN rounds to the nearest; half_even differs from it at ties alone"
    is_relu = source.op == "call_function" and base_name(source) == "relu"
    if is_relu and (data.signed or data.overflow == "saturate_symmetric"):
        return "behind a ReLU FINN takes unsigned numbers"
    if not is_relu and not data.signed:
        return "FINN takes unsigned numbers behind a ReLU alone"
    return None


def _operators(model: onnx.ModelProto, known: frozenset[str], reason: str) -> Iterator[str]:
    for kind in dict.fromkeys(node.op_type for node in model.graph.node):
        if kind not in known:
            yield f"the operator {kind}: {reason}"


def _groups(node: fx.Node) -> int:
    names = [a.name for a in node.target._schema.arguments]  # type: ignore[union-attr]
    place = names.index("groups")
    return int(node.args[place]) if len(node.args) > place else 1  # type: ignore[arg-type]


READERS: Mapping[str, Callable[[Program, Plan, onnx.ModelProto], Iterator[str]]] = {
    "hls4ml": _hls4ml,
    "finn": _finn,
}


def check_reader(program: Program, plan: Plan, reader: str) -> None:
    """Check that a tool can hold a plan.

    Raises:
        UnknownNameError: no such tool.
        ExportError: it cannot; the message names each layer and operator.
    """
    if reader not in READERS:
        raise unknown_name("reader of QONNX", reader, READERS)
    found = list(_formats(plan, "hls4ml" if reader == "hls4ml" else "qonnx"))
    if not found:
        model = to_onnx(program, plan, dialect="qonnx", batch_size=1)
        found = list(READERS[reader](program, plan, model))
    if found:
        raise ExportError(f"{reader} cannot hold this plan: " + "; ".join(found))


def _formats(plan: Plan, artefact: Artefact) -> Iterator[str]:
    for name, layer in plan.layers:
        for part in ROUNDED:
            if reason := refusal(getattr(layer, part), artefact):
                yield f"{name}: its {part} is {reason}"
