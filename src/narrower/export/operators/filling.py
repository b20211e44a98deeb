"""Values that are filled with one number, as ONNX operators."""

from typing import Any

import torch
from torch import fx

from narrower.export.operators.translation import Rule, Translation, type_of
from narrower.graph.arguments import argument
from narrower.graph.nodes import base_name


def _filled(value: float) -> Rule:
    """``new_`` operators have the tensor before the shape."""
    return lambda t, node: _expanded(t, node, node.args[int(base_name(node).startswith("new_"))], value)


def _full(t: Translation, node: fx.Node) -> str:
    return _expanded(t, node, argument(node, "size"), argument(node, "fill_value"))


def _expanded(t: Translation, node: fx.Node, sizes: Any, value: object) -> str:
    return t.emit("Expand", t.name(value, type_of(node)), t.sizes(sizes))


def _like(value: float | None) -> Rule:
    def rule(t: Translation, node: fx.Node) -> str:
        number = node.args[1] if value is None else value
        return t.emit("Expand", t.name(number, type_of(node)), t.emit("Shape", t.name(node.args[0])))

    return rule


def _copy(t: Translation, node: fx.Node) -> str:
    """The second value in the shape of the first."""
    shape = t.emit("Shape", t.name(node.args[0]))
    return t.emit("Expand", t.name(node.args[1], type_of(node)), shape)


def _arange(t: Translation, node: fx.Node) -> str:
    """Numbers one after the other, up to a size that may depend on the batch."""
    assert isinstance(node.target, torch._ops.OpOverload)
    names = [described.name for described in node.target._schema.arguments if not described.kwarg_only]
    given = {"start": 0, "step": 1} | dict(zip(names, node.args, strict=False))
    bounds = [t.emit("Squeeze", t.sizes([given[name]])) for name in ("start", "end", "step")]
    return t.cast(t.emit("Range", *bounds), torch.int64, type_of(node))


FILLING: dict[str, Rule] = {
    "zeros": _filled(0),
    "ones": _filled(1),
    "new_zeros": _filled(0),
    "new_ones": _filled(1),
    "arange": _arange,
    "full": _full,
    "new_full": _full,
    "zeros_like": _like(0),
    "ones_like": _like(1),
    "full_like": _like(None),
    "fill": _like(None),
    "scalar_tensor": lambda t, node: t.name(node.args[0], type_of(node)),
    "copy": _copy,
}
