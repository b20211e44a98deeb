"""Values side by side in one buffer: concatenation and padding with zeros."""

import numpy as np
from torch import fx

from narrower.errors import ExportError
from narrower.export.device.loops import ROW, Loops, merged
from narrower.export.device.numbers import EXACT, Number, Real, Whole, refined, type_of_number
from narrower.export.device.rows import Rows
from narrower.export.device.shapes import sample_shape
from narrower.export.device.source import Source, Step, View, contiguous
from narrower.graph.arguments import argument
from narrower.graph.nodes import base_name

PADDING = frozenset({"constant_pad_nd", "pad"})


def is_join(node: fx.Node) -> bool:
    """Whether a node concatenates or pads."""
    return node.op == "call_function" and base_name(node) in PADDING | {"cat"}


def sources(node: fx.Node) -> list[fx.Node]:
    """What is joined."""
    found = node.args[0]
    several = found if isinstance(found, list | tuple) else [found]
    return [source for source in several if isinstance(source, fx.Node)]


def write(source: Source, step: Step, node: fx.Node, views: list[View]) -> View:
    """Write the values of a node into one new buffer."""
    shape = sample_shape(node)
    number = _common([view.number for view in views])
    target = source.buffer(type_of_number(number), shape, number)
    strides = contiguous(shape)
    if base_name(node) == "cat":
        axis = int(argument(node, "dim")) % (len(shape) + 1) - 1
        if axis < 0:
            raise ExportError(f"{node.name}: joins samples; C runs one sample at a time")
        at = 0
        for view in views:
            _copy(source, step, view, View(target.buffer, view.shape, strides, at * strides[axis], number))
            at += view.shape[axis]
        return target
    pads, value = [int(p) for p in argument(node, "pad")], argument(node, "value")
    if value or min(pads) < 0 or len(pads) > 2 * len(shape):
        raise ExportError(f"{node.name}: pads with {value} by {pads}; C pads samples with zeros")
    loops = Loops(shape, merged(shape, [strides]), ROW)
    rows = Rows(source, step, loops, number)
    rows.line("memset(sums, 0, sizeof sums);")
    rows.store(target)
    rows.end()
    befores = [0] * (len(shape) - len(pads) // 2) + pads[::2][::-1]
    offset = sum(before * stride for before, stride in zip(befores, strides, strict=True))
    _copy(source, step, views[0], View(target.buffer, views[0].shape, strides, offset, number))
    return target


def _copy(source: Source, step: Step, view: View, target: View) -> None:
    rows = Rows(
        source, step, Loops(view.shape, merged(view.shape, [view.strides, target.strides]), ROW), view.number
    )
    rows.load(view)
    if isinstance(target.number, Real):
        rows.to_real()
    elif isinstance(rows.number, Whole) and target.number.scale == 1.0:
        rows.refine(target.number.frac)
    rows.store(target)
    rows.end()


def _common(numbers: list[Number]) -> Number:
    """What holds all of several values exactly."""
    wholes = [n for n in numbers if isinstance(n, Whole) and n.fracs is None]
    if len(wholes) == len(numbers):
        low = np.array(min(n.limits[0] for n in wholes))
        high = np.array(max(n.limits[1] for n in wholes))
        if len({(n.frac, n.scale) for n in wholes}) == 1:
            return Whole(wholes[0].frac, low, high, scale=wholes[0].scale)
        frac = max(n.frac for n in wholes)
        finer = [refined(n, frac) for n in wholes if n.scale == 1.0]
        held = [n for n in finer if n is not None]
        if len(held) == len(numbers) and all(n.largest <= EXACT for n in held):
            ends = [n.limits for n in held]
            return Whole(frac, np.array(min(e[0] for e in ends)), np.array(max(e[1] for e in ends)))
    return Real(all(n.positive if isinstance(n, Real) else n.limits[0] >= 0 for n in numbers))
