"""From a lowered program and a plan to an ONNX model."""

from collections.abc import Callable
from typing import Literal

import onnx
import torch
from torch import Tensor, fx

from narrower.errors import ExportError
from narrower.export.convolutions import Convolutions, find_convolutions
from narrower.export.onnx_builder import OnnxBuilder, Size
from narrower.export.operators.rules import translate
from narrower.export.operators.translation import Translation
from narrower.export.qdq_rounding import QdqRounding
from narrower.export.quant_rounding import QONNX_DOMAIN, QuantRounding
from narrower.export.rounding import Packing
from narrower.graph.program import Program
from narrower.plan import Plan

Dialect = Literal["onnx", "qonnx"]
BATCH = "batch"
# Operator sets and file versions: 21 is the first with 4- and 16-bit QuantizeLinear; qonnx reads up to 17.
OPSETS: dict[Dialect, tuple[tuple[tuple[str, int], ...], int]] = {
    "onnx": ((("", 21),), 10),
    "qonnx": ((("", 17), (QONNX_DOMAIN, 2)), 8),
}


def to_onnx(
    program: Program,
    plan: Plan,
    *,
    dialect: Dialect = "onnx",
    batch_size: int | None = None,
    packing: Packing = "speed",
) -> onnx.ModelProto:
    """Build the ONNX model of a lowered program under a plan, node by node.

    ``batch_size`` None leaves the batch open, which QONNX does not allow.

    Raises:
        ExportError: an operator or a number format has no rule; the message names it.
    """
    if dialect == "qonnx" and batch_size is None:
        raise ExportError("QONNX needs a batch size: its tools read static shapes alone")
    if program.untraced is not None:
        raise ExportError(f"{program.untraced.reason}; without a graph there is nothing to export")
    layers = dict(plan.layers)
    known = {node.meta["layer"] for node in program.graph.nodes if "layer" in node.meta}
    if unknown := [name for name in layers if name not in known]:
        raise ExportError(
            f"the plan names {unknown[0]!r}; the network's products: {', '.join(sorted(known))}"
        )
    builder = OnnxBuilder()
    rounding = QdqRounding(builder, packing) if dialect == "onnx" else QuantRounding(builder)
    found = find_convolutions(program, plan) if dialect == "onnx" else Convolutions()
    translation = Translation(builder, rounding, layers, batch_size, found)
    for node in program.graph.nodes:
        _add(translation, program, node)
    size: Size = BATCH if batch_size is None else batch_size
    output = _output(program.graph)
    inputs = [(node.name, _shape(node, size)) for node in _inputs(program)]
    opsets, ir_version = OPSETS[dialect]
    model = builder.finish(
        program.network.name,
        inputs,
        [(translation.name(output), "scores", _shape(output, size))],
        opsets,
        ir_version,
    )
    if dialect == "onnx":
        onnx.checker.check_model(model, full_check=True)
    return model


def _add(translation: Translation, program: Program, node: fx.Node) -> None:
    values = translation.values
    if node.op == "placeholder":
        values[node] = program.tensors.get(node.name, node.name)
        return
    if node.op != "call_function" or _is_size(node):
        return
    sources = [source for source in node.all_input_nodes if not _is_size(source)]
    is_constant = all(isinstance(values[source], Tensor) for source in sources)
    is_product = "layer" in node.meta or "bias_of" in node.meta
    if is_constant and not is_product and len(sources) == len(node.all_input_nodes):
        values[node] = _computed(translation, node)
    else:
        values[node] = translate(translation, node)


def _computed(translation: Translation, node: fx.Node) -> Tensor:
    """The value of a node that depends on no input."""
    assert callable(node.target)
    swap: Callable[[fx.Node], Tensor] = translation.tensor
    with torch.inference_mode():
        result: Tensor = node.target(*fx.map_arg(node.args, swap), **fx.map_arg(node.kwargs, swap))
    return result.clone()


def _is_size(node: fx.Node) -> bool:
    """Whether a node computes a size from the batch, not a tensor."""
    value = node.meta.get("val")
    return value is not None and not isinstance(value, Tensor | list | tuple)


def _output(graph: fx.Graph) -> fx.Node:
    returned = next(node for node in graph.nodes if node.op == "output").args[0]
    first = returned[0] if isinstance(returned, tuple | list) else returned
    assert isinstance(first, fx.Node)
    return first


def _inputs(program: Program) -> list[fx.Node]:
    return [n for n in program.graph.nodes if n.op == "placeholder" and n.name not in program.tensors]


def _shape(node: fx.Node, batch: Size) -> list[Size]:
    sizes = list(node.meta["val"].shape)
    return [size if isinstance(size, int) else batch for size in sizes]
