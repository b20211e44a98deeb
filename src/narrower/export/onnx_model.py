"""From a lowered program and a plan to an ONNX model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import onnx
import torch
from torch import Tensor, fx

from narrower.errors import ExportError, UnknownNameError
from narrower.evaluate.plan_names import check_names
from narrower.evaluate.processor import saturates_pairs
from narrower.export.byte_operators import write_edge
from narrower.export.convolutions import Convolutions, find_convolutions
from narrower.export.edge_bytes import ByteScale
from narrower.export.integer_form import IntegerForm, to_integer_form
from narrower.export.onnx_builder import OnnxBuilder, Size
from narrower.export.operators.rules import translate
from narrower.export.operators.translation import (
    Target,
    Translation,
    Value,
    onnx_type,
    sizes_of,
    type_of,
)
from narrower.export.qdq_rounding import QdqRounding
from narrower.export.quant_rounding import QONNX_DOMAIN, QuantRounding
from narrower.export.rounding import Packing
from narrower.export.same_for_each import same_for_each
from narrower.export.shapes import with_shapes
from narrower.graph.nodes import is_size
from narrower.graph.program import Program
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.plan import Plan

Dialect = Literal["onnx", "qonnx"]
BATCH = "batch"
# Operator sets and file versions: 21 is the first with 4- and 16-bit QuantizeLinear; qonnx reads up to 17.
OPSETS: dict[Dialect, tuple[tuple[tuple[str, int], ...], int]] = {
    "onnx": ((("", 21),), 10),
    "qonnx": ((("", 17), (QONNX_DOMAIN, 2)), 8),
}


@dataclass(frozen=True)
class OnnxFile:
    """An ONNX model, and the layers whose pairs of 8-bit products can pass 16 bits (pair_sums.py).

    ``roundings`` holds what values of the program are rounded to, by their name and format: the name in the
    graph. ``edges`` holds the bytes on edges, by the name of the edge: their name in the graph, and how they
    are stored. ``inexact`` says what integer kernels round otherwise than our evaluation, and why;
    ``fine_biases`` names layers in float32 whose biases are finer than steps of their products.
    """

    model: onnx.ModelProto
    saturating_matrices: tuple[str, ...]
    saturating_convolutions: tuple[str, ...]
    edges: Mapping[str, tuple[str, ByteScale]] = field(default_factory=dict)
    inexact: tuple[str, ...] = ()
    fine_biases: tuple[str, ...] = ()
    roundings: Mapping[tuple[str, NumberFormat], str] = field(default_factory=dict)


def to_onnx(
    program: Program,
    plan: Plan,
    *,
    dialect: Dialect = "onnx",
    batch_size: int | None = None,
    packing: Packing = "speed",
) -> onnx.ModelProto:
    """The ONNX model of a lowered program under a plan; see ``build_onnx``."""
    return build_onnx(program, plan, dialect=dialect, batch_size=batch_size, packing=packing).model


def build_onnx(
    program: Program,
    plan: Plan,
    *,
    dialect: Dialect = "onnx",
    batch_size: int | None = None,
    packing: Packing = "speed",
) -> OnnxFile:
    """Build the ONNX model of a lowered program under a plan, node by node.

    ``batch_size`` None leaves the batch open, which QONNX does not allow. Where this processor adds pairs of
    8-bit products in 16 bits, matrix products that could pass these are in float32.

    Raises:
        ExportError: an operator or a number format has no rule; the message names it.
    """
    _check(program, plan, dialect, batch_size)
    program = with_shapes(program)
    form = to_integer_form(program, plan) if dialect == "onnx" else IntegerForm()
    builder = OnnxBuilder()
    rounding = QdqRounding(builder, packing) if dialect == "onnx" else QuantRounding(builder)
    found = find_convolutions(program, plan) if dialect == "onnx" else Convolutions()
    opsets, ir_version = OPSETS[dialect]
    inputs = input_nodes(program)
    translation = Translation(
        builder,
        rounding,
        dict(plan.layers),
        program.tensors,
        inputs[0],
        found,
        form,
        Target(opsets[0][1], adds_pairs=dialect == "onnx" and saturates_pairs(), batch=batch_size),
    )
    rows, inner = same_for_each(program)
    for node in program.graph.nodes:
        if node in rows:
            row = builder.constant(rows[node].numpy(), node.name)
            translation.values[node] = translation.emit("Expand", row, translation.sizes(sizes_of(node)))
        elif node not in inner:
            add_node(translation, program, node)
    size: Size = BATCH if batch_size is None else batch_size
    output = _output(program.graph)
    model = builder.finish(
        program.network.name,
        [(node.name, onnx_type(type_of(node)), _shape(node, size)) for node in inputs],
        [(translation.name(output, torch.float32), "scores", _shape(output, size))],
        opsets,
        ir_version,
    )
    if dialect == "onnx":
        onnx.checker.check_model(model, full_check=True)
    convolutions = sorted({node.meta["layer"] for node in found.saturating})
    matrices = (*translation.saturating, *form.saturating)
    return OnnxFile(
        model,
        matrices,
        tuple(convolutions),
        translation.edges,
        form.inexact,
        form.fine_biases,
        _roundings(translation, rounding),
    )


def _roundings(
    translation: Translation, rounding: QdqRounding | QuantRounding
) -> dict[tuple[str, NumberFormat], str]:
    if not isinstance(rounding, QdqRounding):
        return {}
    found = dict(translation.rounded_edges)
    for node, value in translation.values.items():
        for number_format, rounded in rounding.of_value(value) if isinstance(value, str) else ():
            found.setdefault((node.name, number_format), rounded)
    return found


def _check(program: Program, plan: Plan, dialect: Dialect, batch_size: int | None) -> None:
    if dialect == "qonnx" and batch_size is None:
        raise ExportError("QONNX needs a batch size: its tools read static shapes alone")
    inside = [name for name in program.network.recurrent_layers if plan.layer(name).data != FLOAT32]
    if dialect == "qonnx" and inside:
        raise ExportError(
            f"{', '.join(inside)}: QONNX has no recurrent layer that rounds its states; allowed: float32 "
            "data of these layers, or the artefact onnx"
        )
    if program.untraced is not None:
        raise ExportError(f"{program.untraced.reason}; without a graph there is nothing to export")
    try:
        check_names(program, plan)
    except UnknownNameError as error:
        raise ExportError(f"the plan does not fit the network: {error}") from None


def add_node(translation: Translation, program: Program, node: fx.Node) -> None:
    """Give a node its value in the graph that is built.

    Raises:
        ExportError: no rule covers it.
    """
    values = translation.values
    if node.op == "placeholder":
        values[node] = program.tensors.get(node.name, node.name)
        _write(translation, node)
        return
    if node.op != "call_function" or is_size(node):
        return
    sources = [source for source in node.all_input_nodes if not is_size(source)]
    is_constant = all(_is_known(values[source]) for source in sources)
    is_product = "layer" in node.meta or "bias_of" in node.meta
    if is_constant and not is_product and len(sources) == len(node.all_input_nodes):
        values[node] = _computed(translation, node)
    else:
        values[node] = translate(translation, node)
        _write(translation, node)


def _write(translation: Translation, node: fx.Node) -> None:
    """Let everything that reads a value read it rounded, where it is an edge."""
    value = translation.values[node]
    if "edge" not in node.meta or not isinstance(value, str):
        return
    number_format, stored = translation.layer(node.meta["edge"]).output, translation.form.edges.get(node)
    if stored is not None:
        held, translation.values[node] = write_edge(translation.builder, value, stored)
        translation.edges[node.meta["edge"]] = held, stored
    elif number_format != FLOAT32:
        translation.values[node] = translation.rounding.data(value, number_format)
        translation.rounded_edges[node.name, number_format] = str(translation.values[node])


def _computed(translation: Translation, node: fx.Node) -> Value:
    """The value of a node that depends on no input."""
    assert callable(node.target)
    swap: Callable[[fx.Node], Any] = translation.values.__getitem__
    with torch.inference_mode():
        result = node.target(*fx.map_arg(node.args, swap), **fx.map_arg(node.kwargs, swap))
    return result.clone() if isinstance(result, Tensor) else tuple(part.clone() for part in result)


def _is_known(value: Value) -> bool:
    """Whether no input of the network reaches a value."""
    return isinstance(value, Tensor) or (isinstance(value, tuple) and all(map(_is_known, value)))


def _output(graph: fx.Graph) -> fx.Node:
    returned = next(node for node in graph.nodes if node.op == "output").args[0]
    first = returned[0] if isinstance(returned, tuple | list) else returned
    assert isinstance(first, fx.Node)
    return first


def input_nodes(program: Program) -> list[fx.Node]:
    """The placeholders that samples are given to."""
    return [n for n in program.graph.nodes if n.op == "placeholder" and n.name not in program.tensors]


def _shape(node: fx.Node, batch: Size) -> list[Size]:
    sizes = list(node.meta["val"].shape)
    return [size if isinstance(size, int) else batch for size in sizes]
