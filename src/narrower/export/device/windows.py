"""Pooling in C: the largest or the mean of each window, row by row."""

import operator
from math import prod

import numpy as np
from torch import fx

from narrower.errors import ExportError
from narrower.export.device.kernels import window_of, write_window
from narrower.export.device.loops import Loops
from narrower.export.device.numbers import EXACT, Whole
from narrower.export.device.rows import Rows
from narrower.export.device.runtime_typed import SHORT
from narrower.export.device.shapes import sample_shape
from narrower.export.device.source import Source, Step, View
from narrower.export.operators.translation import each, has_argument
from narrower.graph.arguments import argument
from narrower.graph.nodes import base_name

LARGEST = frozenset({"max_pool1d", "max_pool2d", "max_pool2d_with_indices", "max_pool1d_with_indices"})
MEANS = frozenset({"avg_pool1d", "avg_pool2d"})


def is_window(node: fx.Node) -> bool:
    """Whether a node pools."""
    return node.op == "call_function" and base_name(node) in LARGEST | MEANS


def keeps_order(node: fx.Node) -> bool:
    """Whether rounding may come before a node instead of behind it."""
    return node.op == "call_function" and base_name(node) in LARGEST


def is_first_of_pair(node: fx.Node) -> bool:
    """Whether a node is the values of a pooling that also gives positions."""
    source, *position = node.args or (None,)
    is_pair = node.target is operator.getitem and isinstance(source, fx.Node) and keeps_order(source)
    return is_pair and position == [0]


def begin(source: Source, step: Step, node: fx.Node, view: View) -> Rows:
    """Open the loops of a pooling; the row holds its result."""
    rank = len(view.shape) - 1
    value = node.meta.get("val")
    shape = (
        sample_shape(node)
        if not isinstance(value, tuple | list)
        else tuple(int(s) for s in value[0].shape[1:])
    )
    kernel = tuple(each(argument(node, "kernel_size"), rank))
    fields = window_of(node, kernel, view.shape, shape[-1])
    write_window(step, source, fields)
    loops = Loops(shape, tuple((axis,) for axis in range(len(shape))))
    take = "largest" if base_name(node) in LARGEST else "sum"
    number = view.number
    if take == "sum" and isinstance(number, Whole):
        count = prod(kernel)
        least, most = number.limits
        ends = np.array(min(least, 0) * count), np.array(max(most, 0) * count)
        number = Whole(number.frac, *ends, scale=number.scale)
    rows = Rows(source, step, loops, number)
    kind = view.buffer.kind
    step.reads.add(view.buffer.position)
    if kind == "float":
        raise ExportError(f"{node.name}: pools the input before it is rounded; C has no rule for that")
    name = source.use(f"{take}_{SHORT[kind]}")
    source.count(name, loops.rows, prod(shape) * prod(kernel))
    row = "i1" if rank == 2 else "0"  # noqa: PLR2004 - [C, H, W]
    rows.line(f"{name}(sums, {view.pointer()} + i0 * {prod(view.shape[1:])}, &g, {row});")
    if take == "sum":
        if isinstance(number, Whole) and number.largest > EXACT:
            raise ExportError(f"{node.name}: its sums may pass 2**24 steps")
        rows.divide_constant(_divisors(node, fields, shape))
    return rows


def _divisors(node: fx.Node, fields: list[int], shape: tuple[int, ...]) -> np.ndarray:
    """By how much each sum is divided."""
    _, height, width, kh, kw, sy, sx, py, px, _, _, columns = fields
    if has_argument(node, "divisor_override") and argument(node, "divisor_override"):
        return np.array(float(argument(node, "divisor_override")))
    rows_ = 1 if len(shape) == 2 else shape[1]  # noqa: PLR2004 - [C, L]
    counts = [
        _counts(n, size, k, s, p, padded=bool(argument(node, "count_include_pad")))
        for n, size, k, s, p in ((rows_, height, kh, sy, py), (columns, width, kw, sx, px))
    ]
    found = np.outer(*counts).astype(np.float64)
    if (found == found[0, 0]).all():
        return np.array(found[0, 0])
    return found if len(shape) > 2 else found[0]  # noqa: PLR2004


def _counts(outputs: int, size: int, kernel: int, stride: int, pad: int, *, padded: bool) -> np.ndarray:
    start = np.arange(outputs) * stride - pad
    end = np.minimum(start + kernel, size + pad)
    if padded:
        return end - start
    return np.minimum(end, size) - np.maximum(start, 0)
