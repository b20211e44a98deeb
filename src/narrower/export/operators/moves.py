"""Operators that move values and compute none, as ONNX operators."""

from typing import Any

import numpy as np
from torch import fx

from narrower.errors import ExportError
from narrower.export.operators.translation import (
    Rule,
    Translation,
    argument,
    axis_of,
    rank_of,
    sizes_of,
)
from narrower.graph.describe import base_name

ENDLESS = 2**63 - 1


def _reshape(t: Translation, node: fx.Node) -> str:
    """The one size that depends on the batch is left to the runtime."""
    shape: Any = node.meta["val"].shape if "val" in node.meta else node.args[1]
    sizes = [size if isinstance(size, int) else -1 for size in shape]
    if sizes.count(-1) > 1:
        raise ExportError(f"{node.name}: no rule for a reshape with two sizes that depend on the batch")
    return t.emit("Reshape", t.name(node.args[0]), t.builder.constant(np.array(sizes, np.int64), "shape"))


def _permute(t: Translation, node: fx.Node) -> str:
    order = list(argument(node, "dims"))
    return t.emit("Transpose", t.name(node.args[0]), perm=[axis_of(axis, len(order)) for axis in order])


def _transpose(t: Translation, node: fx.Node) -> str:
    x, first, second = node.args
    rank = rank_of(x)
    order = list(range(rank))
    a, b = axis_of(first, rank), axis_of(second, rank)
    order[a], order[b] = order[b], order[a]
    return t.emit("Transpose", t.name(x), perm=order)


def _squeeze(t: Translation, node: fx.Node) -> str:
    axes = node.args[1] if len(node.args) > 1 else None
    if axes is None:
        raise ExportError(f"{node.name}: no rule for squeeze without a dimension")
    listed = [axes] if isinstance(axes, int) else list(axes)  # type: ignore[arg-type]
    sizes = sizes_of(node.args[0])
    kept = [axis for axis in listed if sizes is None or sizes[axis] == 1]
    return t.emit("Squeeze", t.name(node.args[0]), t.builder.constant(np.array(kept, np.int64), "axes"))


def _unsqueeze(t: Translation, node: fx.Node) -> str:
    axes = np.array([node.args[1]], np.int64)
    return t.emit("Unsqueeze", t.name(node.args[0]), t.builder.constant(axes, "axes"))


def _select(t: Translation, node: fx.Node) -> str:
    x, axis, index = node.args
    return t.emit("Gather", t.name(x), t.builder.constant(np.int64(index), "index"), axis=axis)  # type: ignore[arg-type]


def _slice(t: Translation, node: fx.Node) -> str:
    axis = argument(node, "dim")
    start, end, step = (argument(node, name) for name in ("start", "end", "step"))
    bounds = [0 if start is None else start, ENDLESS if end is None else end, axis, step]
    if not all(isinstance(bound, int) for bound in bounds):
        raise ExportError(f"{node.name}: no rule for a slice whose bounds depend on the batch")
    held = [t.builder.constant(np.array([bound], np.int64), "bound") for bound in bounds]
    return t.emit("Slice", t.name(node.args[0]), *held)


def _cat(t: Translation, node: fx.Node) -> str:
    parts = [t.name(part) for part in argument(node, "tensors")]
    return t.emit("Concat", *parts, axis=argument(node, "dim"))


def _expand(t: Translation, node: fx.Node) -> str:
    """Sizes that depend on the batch are read from the network's input."""
    x, sizes = node.args[0], list(node.args[1])  # type: ignore[arg-type]
    pieces = []
    for size in sizes:
        if isinstance(size, int):
            pieces.append(t.builder.constant(np.array([max(size, 1)], np.int64), "size"))
        elif t.batch is not None:
            pieces.append(t.builder.constant(np.array([t.batch], np.int64), "size"))
        else:
            pieces.append(t.emit("Shape", t.name(_batch_source(node)), start=0, end=1))
    return t.emit("Expand", t.name(x), t.emit("Concat", *pieces, axis=0))


def _batch_source(node: fx.Node) -> fx.Node:
    sources = (n for n in node.graph.nodes if base_name(n) == "sym_size" and n.args[1] == 0)
    source = next((n.args[0] for n in sources), None)
    if not isinstance(source, fx.Node):
        raise ExportError(f"{node.name}: no rule for this expand: nothing in the graph holds the batch size")
    return source


def _same(t: Translation, node: fx.Node) -> str:
    return t.name(node.args[0])


MOVES: dict[str, Rule] = {
    "reshape": _reshape,
    "view": _reshape,
    "flatten": _reshape,
    "_unsafe_view": _reshape,
    "permute": _permute,
    "transpose": _transpose,
    "squeeze": _squeeze,
    "unsqueeze": _unsqueeze,
    "select": _select,
    "slice": _slice,
    "cat": _cat,
    "expand": _expand,
    "clone": _same,
    "alias": _same,
    "detach": _same,
    "contiguous": _same,
}
