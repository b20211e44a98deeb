"""Operators that move values and compute none, as ONNX operators."""

from typing import Any

from torch import fx

from narrower.errors import ExportError
from narrower.export.operators.translation import (
    Rule,
    Translation,
    Value,
    axis_of,
    rank_of,
    sizes_of,
    whole_size,
)
from narrower.graph.arguments import argument
from narrower.graph.nodes import base_name

ENDLESS = 2**63 - 1


def _reshape(t: Translation, node: fx.Node) -> str:
    """The one size that depends on the batch is left to the runtime."""
    sizes = [size if isinstance(size, int) else -1 for size in sizes_of(node)]
    if sizes.count(-1) > 1:
        return t.emit("Reshape", t.name(node.args[0]), t.sizes(sizes_of(node)))
    return t.emit("Reshape", t.name(node.args[0]), t.integers(*sizes))


def _permute(t: Translation, node: fx.Node) -> str:
    order = list(argument(node, "dims"))
    return t.emit("Transpose", t.name(node.args[0]), perm=[axis_of(axis, len(order)) for axis in order])


def _transpose(t: Translation, node: fx.Node) -> str:
    rank = rank_of(node.args[0])
    _, first, second = node.args if len(node.args) > 1 else (None, 0, rank - 1)
    order = list(range(rank))
    a, b = axis_of(first, rank), axis_of(second, rank)
    order[a], order[b] = order[b], order[a]
    return t.emit("Transpose", t.name(node.args[0]), perm=order)


def _reversed(t: Translation, node: fx.Node) -> str:
    return t.emit("Transpose", t.name(node.args[0]), perm=list(range(rank_of(node.args[0])))[::-1])


def _squeeze(t: Translation, node: fx.Node) -> str:
    sizes = sizes_of(node.args[0])
    given = node.args[1] if len(node.args) > 1 else None
    axes: Any = range(len(sizes)) if given is None else [given] if isinstance(given, int) else given
    kept = [axis for axis in axes if isinstance(sizes[axis], int) and sizes[axis] == 1]
    return t.emit("Squeeze", t.name(node.args[0]), t.integers(*kept)) if kept else t.name(node.args[0])


def _unsqueeze(t: Translation, node: fx.Node) -> str:
    return t.emit("Unsqueeze", t.name(node.args[0]), t.integers(int(argument(node, "dim"))))


def _slice(t: Translation, node: fx.Node) -> str:
    start, end, step = (argument(node, name) for name in ("start", "end", "step"))
    bounds = (0 if start is None else start, ENDLESS if end is None else end, step)
    if not all(isinstance(bound, int) for bound in bounds):
        raise ExportError(f"no rule for a slice whose bounds depend on the batch ({node.name})")
    return part(t, t.name(node.args[0]), argument(node, "dim"), *bounds)


def part(t: Translation, x: str, axis: int, start: int, end: int = ENDLESS, step: int = 1) -> str:
    """Some positions of a dimension."""
    return t.emit("Slice", x, t.integers(start), t.integers(end), t.integers(axis), t.integers(step))


def _scattered(t: Translation, node: fx.Node) -> str:
    """One position, or a stretch of them, in place of what was there."""
    x, source = t.name(node.args[0]), t.name(node.args[1])
    axis = int(argument(node, "dim"))
    if sizes_of(node.args[1]) == sizes_of(node):  # all positions
        return source
    size = whole_size(node.args[0], axis)
    if base_name(node) == "select_scatter":
        start = int(argument(node, "index")) % size
        end, source = start + 1, t.emit("Unsqueeze", source, t.integers(axis_of(axis, rank_of(node))))
    else:
        start, end, step = (argument(node, name) for name in ("start", "end", "step"))
        if step != 1 or not all(isinstance(bound, int | None) for bound in (start, end)):
            raise ExportError(f"no rule for a slice_scatter with steps ({node.name})")
        start, end, _ = slice(start, end).indices(size)
    pieces = [part(t, x, axis, 0, start)] if start > 0 else []
    pieces += [source, *([part(t, x, axis, end)] if end < size else [])]
    return t.emit("Concat", *pieces, axis=axis) if len(pieces) > 1 else source


def _cat(t: Translation, node: fx.Node) -> str:
    parts = [t.name(each_one, _type(node)) for each_one in argument(node, "tensors")]
    return t.emit("Concat", *parts, axis=argument(node, "dim"))


def _type(node: fx.Node) -> Any:
    return node.meta["val"].dtype if "val" in node.meta else None


def _stack(t: Translation, node: fx.Node) -> str:
    axis = t.integers(axis_of(argument(node, "dim"), rank_of(node)))
    parts = [
        t.emit("Unsqueeze", t.name(each_one, _type(node)), axis) for each_one in argument(node, "tensors")
    ]
    return t.emit("Concat", *parts, axis=axis_of(argument(node, "dim"), rank_of(node)))


def _split(t: Translation, node: fx.Node) -> Value:
    """Parts of one size, of sizes that are given, or so many of them; the last may be smaller."""
    axis = argument(node, "dim")
    size = whole_size(node.args[0], axis)
    given = node.args[1]
    if isinstance(given, list | tuple):
        sizes = [int(each_one) for each_one in given]  # type: ignore[arg-type]
    else:
        assert isinstance(given, int)
        step = -(-size // given) if base_name(node) == "chunk" else given
        sizes = [min(step, size - start) for start in range(0, size, step)]
    if len(sizes) == 1:
        return (t.name(node.args[0]),)
    return t.emit_several(len(sizes), "Split", t.name(node.args[0]), t.integers(*sizes), axis=axis)


def _getitem(t: Translation, node: fx.Node) -> Value:
    values, index = t.values[node.args[0]], node.args[1]  # type: ignore[index]
    assert isinstance(values, tuple)
    assert isinstance(index, int)
    if index >= len(values):
        raise ExportError(f"no rule for result {index} of {node.args[0]}")
    return values[index]


def _expand(t: Translation, node: fx.Node) -> str:
    """Sizes of -1 are those that there are; Expand takes 1 for them."""
    sizes = [1 if size == -1 else size for size in argument(node, "size")]
    return t.emit("Expand", t.name(node.args[0]), t.sizes(sizes))


def _repeat(t: Translation, node: fx.Node) -> str:
    repeats = argument(node, "repeats")
    x, added = t.name(node.args[0]), len(repeats) - rank_of(node.args[0])
    if added:
        x = t.emit("Unsqueeze", x, t.integers(*range(added)))
    return t.emit("Tile", x, t.sizes(repeats))


def _repeat_each(t: Translation, node: fx.Node) -> str:
    """Every position of a dimension so many times: a new dimension after it, and both as one."""
    if (axis := argument(node, "dim")) is None:
        raise ExportError(f"no rule for repeat_interleave without a dimension ({node.name})")
    rank = rank_of(node.args[0])
    axis = axis_of(axis, rank)
    wider = t.emit("Unsqueeze", t.name(node.args[0]), t.integers(axis + 1))
    times = [1] * (rank + 1)
    times[axis + 1] = int(argument(node, "repeats"))
    return t.emit("Reshape", t.emit("Tile", wider, t.integers(*times)), t.sizes(sizes_of(node)))


def _flip(t: Translation, node: fx.Node) -> str:
    value = t.name(node.args[0])
    for axis in argument(node, "dims"):
        value = part(t, value, axis, -1, -ENDLESS, -1)
    return value


def _roll(t: Translation, node: fx.Node) -> str:
    value = t.name(node.args[0])
    shifts, axes = argument(node, "shifts"), argument(node, "dims")
    if not axes:
        raise ExportError(f"no rule for roll without dimensions ({node.name})")
    for shift, axis in zip(shifts, axes, strict=True):
        if moved := shift % whole_size(node.args[0], axis):
            value = t.emit("Concat", part(t, value, axis, -moved), part(t, value, axis, 0, -moved), axis=axis)
    return value


def _triangle(upper: int) -> Rule:
    def rule(t: Translation, node: fx.Node) -> str:
        diagonal = t.builder.constant(int(argument(node, "diagonal")))
        return t.emit("Trilu", t.name(node.args[0]), diagonal, upper=upper)

    return rule


def _same(t: Translation, node: fx.Node) -> str:
    return t.name(node.args[0])


MOVES: dict[str, Rule] = {
    "reshape": _reshape,
    "view": _reshape,
    "flatten": _reshape,
    "unflatten": _reshape,
    "_unsafe_view": _reshape,
    "permute": _permute,
    "transpose": _transpose,
    "t": _transpose,
    "numpy_T": _reversed,
    "squeeze": _squeeze,
    "unsqueeze": _unsqueeze,
    "slice": _slice,
    "select_scatter": _scattered,
    "slice_scatter": _scattered,
    "cat": _cat,
    "stack": _stack,
    "split": _split,
    "split_with_sizes": _split,
    "chunk": _split,
    "getitem": _getitem,
    "expand": _expand,
    "repeat": _repeat,
    "repeat_interleave": _repeat_each,
    "flip": _flip,
    "roll": _roll,
    "tril": _triangle(0),
    "triu": _triangle(1),
    "clone": _same,
    "alias": _same,
    "detach": _same,
    "contiguous": _same,
    "lift_fresh_copy": _same,
    "dropout": _same,
}
