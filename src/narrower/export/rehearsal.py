"""Which operators of a network ONNX cannot express, found without writing a model."""

from typing import Any

from torch import Tensor, fx

from narrower.errors import ExportError
from narrower.export.convolutions import Convolutions
from narrower.export.integer_form import IntegerForm
from narrower.export.onnx_builder import OnnxBuilder
from narrower.export.onnx_model import OPSETS, add_node, input_nodes
from narrower.export.operators.translation import Target, Translation, Value
from narrower.export.qdq_rounding import QdqRounding
from narrower.export.same_for_each import same_for_each
from narrower.export.shapes import with_shapes
from narrower.graph.program import Program

BATCH_SIZE = 1


class _Names(OnnxBuilder):
    """Hands out names and keeps nothing."""

    def emit_several(self, count: int, operator: str, *_inputs: str, **_attributes: Any) -> tuple[str, ...]:
        return tuple(self._name(operator) for _ in range(count))

    def constant(self, _values: object, label: str = "constant") -> str:
        return self._name(label)

    def integers(self, _values: object, _data_type: int, label: str) -> str:
        return self._name(label)


def unexported(program: Program) -> tuple[str, ...]:
    """Why a lowered program without roundings cannot be written as ONNX: each reason once; empty: it can.

    An operator without a rule is passed over, so that those after it are looked at as well.
    """
    if program.untraced is not None:
        return (f"{program.untraced.reason}; without a graph there is nothing to export",)
    try:
        program = with_shapes(program)
    except (RuntimeError, TypeError, ValueError) as error:
        return (f"the shapes of its values are not known: {error}",)
    builder = _Names()
    target = Target(OPSETS["onnx"][0][0][1], adds_pairs=False, batch=BATCH_SIZE)
    source = input_nodes(program)[0]
    translation = Translation(
        builder, QdqRounding(builder), {}, program.tensors, source, Convolutions(), IntegerForm(), target
    )
    reasons: dict[str, None] = {}
    rows, inner = same_for_each(program)
    for node in program.graph.nodes:
        if node in inner:
            continue
        if node in rows:  # a constant
            translation.values[node] = _stand_in(node)
            continue
        try:
            add_node(translation, program, node)
        except ExportError as error:
            reasons[str(error)] = None
            translation.values[node] = _stand_in(node)
    return tuple(reasons)


def _stand_in(node: fx.Node) -> Value:
    value = node.meta.get("val")
    if isinstance(value, Tensor) or value is None:
        return node.name
    return tuple(f"{node.name}_{position}" for position in range(len(value)))
