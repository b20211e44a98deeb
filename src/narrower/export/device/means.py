"""Means over all positions of a channel: the additions of halves as one step with memory for one channel."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np
from torch import fx

from narrower.export.device.loops import Loops
from narrower.export.device.numbers import EXACT, Number, Real, Whole, bits_of, is_positive
from narrower.export.device.rows import Rows
from narrower.export.device.runtime_typed import SHORT
from narrower.export.device.source import Source, Step, View
from narrower.graph.nodes import base_name

RANKS = (3, 4)  # [N, C, L] and [N, C, H, W]


@dataclass(frozen=True, slots=True)
class PositionSum:
    """``total`` is the sum of ``source`` over all positions; ``inside``: the operators that form it."""

    source: fx.Node
    total: fx.Node
    inside: frozenset[fx.Node]


def position_sums(graph: fx.Graph) -> dict[fx.Node, PositionSum]:
    """Sums by the first of their operators."""
    names = {node.name: node for node in graph.nodes}
    places = {node: i for i, node in enumerate(graph.nodes)}
    found = {}
    for node in graph.nodes:
        name, dimensions, keeps = node.meta.get("mean_of", (None, (), True))
        source = names.get(name)
        if source is None or not _is_over_positions(source, dimensions):
            continue
        scaled = node if keeps else node.args[0]
        total = scaled.args[0]
        inside = frozenset(_between(source, total))
        additions = [each for each in inside if base_name(each) == "add"]
        if additions:
            found[min(additions, key=places.__getitem__)] = PositionSum(source, total, inside)
    return found


def begin(source: Source, step: Step, view: View) -> Rows:
    """Open the loops of a sum over all positions; the row is one number, of one channel.

    Halves are added in the order of the evaluation; as whole numbers as long as these are exact.
    """
    channels, *sizes = view.shape
    loops = Loops((channels, *(1 for _ in sizes)), ((0,), tuple(range(1, len(view.shape)))))
    rows = Rows(source, step, loops, view.number)
    positions = prod(sizes)
    source.longest_row = max(source.longest_row, positions)
    step.reads.add(view.buffer.position)
    _call(
        rows,
        f"load_{SHORT[view.buffer.kind]}",
        positions,
        f"{positions}, {view.pointer(f'i0 * {positions}')}, 1",
    )
    fold(rows, sizes)
    return rows


def holds_a_channel(loops: Loops) -> bool:
    """Whether a row is all positions of one channel."""
    return loops.groups[0] == (0,) and loops.row == prod(loops.shape[1:]) and not loops.is_cut


def shorten(rows: Rows) -> None:
    """Go from a row of all positions of a channel to their sum."""
    channels, *sizes = rows.loops.shape
    fold(rows, sizes)
    rows.loops = replace(rows.loops, shape=(channels, *(1 for _ in sizes)))
    rows.line("n = 1;")


def fold(rows: Rows, sizes: Sequence[int]) -> None:
    """Add halves of the row, axis by axis; the first number of the row is the sum."""
    for axis, size in enumerate(sizes):
        inner = prod(sizes[axis + 1 :])
        summed = _times(rows.number, size)
        if summed is None and isinstance(rows.number, Whole):
            _to_real(rows, size * inner)
        name = "real_add_halves" if summed is None else "add_halves"
        _call(rows, name, (size - 1) * inner, f"{size}, {inner}")
        rows.number = summed or rows.number


def _call(rows: Rows, name: str, elements: int, arguments: str) -> None:
    rows.source.use(name)
    rows.source.count(name, rows.loops.rows, rows.loops.rows * elements)
    rows.line(f"{name}(sums, {arguments});")


def _to_real(rows: Rows, elements: int) -> None:
    number = rows.number
    assert isinstance(number, Whole)
    assert number.fracs is None
    _call(rows, "real_of", elements, f"{elements}, {number.frac}")
    if number.scale != 1.0:
        name = rows.source.array("uint32_t", bits_of(np.array(number.scale)), "real")
        _call(rows, "real_multiply_each", elements, f"{elements}, {name}, 0")
    rows.number = Real(is_positive(number))


def _times(number: Number, count: int) -> Whole | None:
    """What sums of so many numbers are, where float32 holds all of them."""
    if not isinstance(number, Whole) or number.scale != 1.0 or number.largest * count > EXACT:
        return None
    least, most = number.limits
    return Whole(number.frac, np.array(least * count), np.array(most * count))


def _is_over_positions(source: fx.Node, dimensions: tuple[int, ...]) -> bool:
    rank = len(source.meta["val"].shape)
    return rank in RANKS and dimensions == tuple(range(2, rank))


def _between(source: fx.Node, node: fx.Node) -> Iterator[fx.Node]:
    if node is not source:
        yield node
        for each in node.all_input_nodes:
            yield from _between(source, each)
