"""Products and windows as loops in C: what stands at the beginning of a step."""

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import fx

from narrower.export.device.loops import ROW, Loops
from narrower.export.device.numbers import EXACT, Real, Whole
from narrower.export.device.packing import Pack, byte_type, smallest
from narrower.export.device.rows import Rows
from narrower.export.device.runtime_typed import PACKED, product_name
from narrower.export.device.source import Source, Step, View
from narrower.export.device.weights import WholeWeights
from narrower.export.operators.translation import each
from narrower.graph.arguments import argument

Integers = NDArray[np.int64]
SUMS_LIMIT = 2**31
SHORTEST_PIECE = 8
WINDOW_FIELDS, WEIGHT_FIELDS = 12, 7  # words of what C holds for a window and for packed weights


def window_of(node: fx.Node, kernel: tuple[int, ...], shape: tuple[int, ...], columns: int) -> list[int]:
    """The fields of C's window of a convolution or pooling over [C, L] or [C, H, W]."""
    rank = len(shape) - 1
    strides = _each(node, "stride", rank) or list(kernel)
    dilations = _each(node, "dilation", rank) or [1] * rank
    padding: Any = argument(node, "padding")
    if padding == "same":
        pads = [d * (k - 1) // 2 for d, k in zip(dilations, kernel, strict=True)]
    elif padding == "valid":
        pads = [0] * rank
    else:
        pads = each(padding, rank)
    heights = [[1], [1], [0], [1]] if rank == 1 else [[], [], [], []]
    kernels, steps, befores, gaps = (
        [*one, *more] for one, more in zip(heights, (kernel, strides, pads, dilations), strict=True)
    )
    height, width = (1, shape[1]) if rank == 1 else shape[1:]
    return [shape[0], height, width, *kernels, *steps, *befores, *gaps, columns]


def _each(node: fx.Node, name: str, rank: int) -> list[int]:
    names = [a.name for a in node.target._schema.arguments]  # type: ignore[union-attr]
    value = argument(node, name) if name in names else None
    return each(value, rank) if isinstance(value, int) or value else []


def write_window(step: Step, source: Source, fields: list[int]) -> None:
    """Declare a step's window."""
    source.use("window")
    step.lines.append(f"    static const window g = {{{', '.join(map(str, fields))}}};")
    source.constant_bytes += 4 * WINDOW_FIELDS


def sums_number(weights: WholeWeights, data: Whole, trailing: int) -> tuple[Whole, Integers]:
    """What the sums of a product stand for, before its scale, for [outputs, 1, ...]; and their reach.

    ``trailing`` are the axes behind the outputs.
    """
    values = weights.values.reshape(len(weights.values), -1)
    low, high = _entries(data.low, values.shape[1]), _entries(data.high, values.shape[1])
    ends = np.stack([values * np.minimum(low, 0), values * np.maximum(high, 0)])
    least, most = ends.min(0).sum(1), ends.max(0).sum(1)
    shape = (-1, *(1,) * trailing)
    reach = np.maximum(-least, most)
    frac = weights.frac + data.frac
    return Whole(frac, least.reshape(shape), most.reshape(shape)), reach


def _entries(ends: Integers, count: int) -> Integers:
    """The ends of each input of a linear layer, or one for all."""
    return (
        ends.reshape(-1, count).max(0)
        if ends.ndim and ends.shape[-1] == count and ends.size > 1
        else (np.asarray(ends.max()))
    )


class Product:
    """A product of data and constant weights: its weights in the network, and the loops around it."""

    def __init__(
        self, source: Source, step: Step, weights: WholeWeights, data: View, pack: Pack, label: str
    ) -> None:
        self.source, self.step, self.data, self.weights = source, step, data, weights
        assert isinstance(data.number, Whole)
        self.number: Whole = data.number
        step.reads.add(data.buffer.position)
        self.per_output = prod(weights.values.shape[1:])
        if pack == "speed":
            self.held = byte_type(weights.values)
            self.array = source.array(self.held, weights.values, label, weights=True)
            return
        self.held = PACKED
        form = smallest(weights.values)
        codes = source.array("uint8_t", form.codes, label, weights=True)
        mask = "0" if form.mask is None else source.array("uint8_t", form.mask, label, weights=True)
        book = "0" if form.book is None else source.array("int32_t", form.book, label, weights=True)
        source.use("weights")
        fields = f"{codes}, {mask}, {book}, 0, 0, {form.bits}, {form.low}"
        step.lines.append(f"    static const weights held = {{{fields}}};")
        step.lines.append("    weights start = held, w = start;")
        source.constant_bytes += 4 * WEIGHT_FIELDS

    def convolve(self, node: fx.Node, shape: tuple[int, ...]) -> Rows:
        """Begin a convolution whose result has a shape [C, L] or [C, H, W]."""
        groups = int(argument(node, "groups"))
        kernel = self.weights.values.shape[2:]
        inputs = self.data.shape[0] // groups
        fields = window_of(node, kernel, (inputs, *self.data.shape[1:]), shape[-1])
        plane = prod(self.data.shape[1:])
        loops = Loops(shape, tuple((axis,) for axis in range(len(shape))))
        row, moved = ("i1" if len(shape) > 2 else "0"), ""  # noqa: PLR2004 - [C, H, W]
        piece = _piece(plane)
        if fields[3:11] == [1, 1, 1, 1, 0, 0, 1, 1] and len(shape) > 2 and piece > shape[-1]:  # noqa: PLR2004
            loops = Loops(shape, ((0,), tuple(range(1, len(shape)))), piece)
            fields[1:3], fields[-1] = [1, plane], piece
            row, moved = "0", " + t" if loops.is_cut else ""
        write_window(self.step, self.source, fields)
        per_group = shape[0] // groups
        group = "" if groups == 1 else f" + i0 / {per_group} * {inputs * plane}"
        if per_group == 1 and groups > 1:
            group = f" + i0 * {inputs * plane}"
        is_last = "i1 == " + str(shape[1] - 1) if row == "i1" else f"t + n == {plane}" if moved else ""
        return self._rows("convolve", loops, f"{self.data.pointer()}{group}{moved}", f"&g, {row}", is_last)

    def dot(self, shape: tuple[int, ...]) -> Rows:
        """Begin a linear layer whose result has a shape [..., outputs]."""
        axes = tuple(range(len(shape)))
        loops = Loops(shape, ((axes[:-1], axes[-1:]) if len(axes) > 1 else (axes,)), ROW)
        outer = f" + i0 * {self.per_output}" if len(axes) > 1 else ""
        return self._rows("dot", loops, f"{self.data.pointer()}{outer}", f"{self.per_output}, n", "")

    def _rows(self, kind: str, loops: Loops, data: str, sizes: str, is_last: str) -> Rows:
        number, reach = sums_number(
            self.weights, self.number, len(loops.shape) - 1 if kind == "convolve" else 0
        )
        is_wide = int(reach.max()) >= SUMS_LIMIT
        name = product_name(kind, "int64_t" if is_wide else "int32_t", self.data.buffer.kind, self.held)
        self.source.use(name)
        self.source.count(name, loops.rows, prod(loops.shape) * self.per_output)
        if kind == "convolve":
            self.source.count("weight of a row", 0, loops.rows * self.per_output)
        if is_wide:
            self.source.longest_wide_row = max(self.source.longest_wide_row, loops.longest)
        rows = Rows(self.source, self.step, loops, number)
        if self.held != PACKED:
            place = "i0" if kind == "convolve" else "t" if loops.is_cut else ""
            weights = f"{self.array} + {place} * {self.per_output}" if place else self.array
        else:
            weights = "&w"
            if kind == "convolve":
                rows.line("w = start;")
            elif loops.is_cut and len(loops.groups) > 1:
                rows.line("if (t == 0)")
                rows.line("    w = start;")
            elif len(loops.groups) > 1:
                rows.line("w = start;")
        rows.line(f"{name}({'wide' if is_wide else 'sums'}, {data}, {weights}, {sizes});")
        if self.held == PACKED and kind == "convolve":
            if is_last:
                rows.line(f"if ({is_last})")
            rows.line(f"{'    ' if is_last else ''}start = w;")
        if is_wide:
            self.source.use("real_of_wide")
            self.source.count("real_of_wide", loops.rows, prod(loops.shape))
            rows.line(f"real_of_wide(sums, wide, n, {number.frac});")
            rows.number = Real()
        self._scale(rows, number, is_wide=is_wide)
        return rows

    def _scale(self, rows: Rows, number: Whole, *, is_wide: bool) -> None:
        """Sums beyond what float32 holds, and scales that are no powers of two, are computed in float32."""
        if not is_wide and number.largest > EXACT:
            rows.to_real()
        scales = self.weights.scales
        factors = (
            np.array(self.number.scale) if scales is None else scales.astype(np.float64) * self.number.scale
        )
        if scales is None and self.number.scale == 1.0:
            return
        rows.to_real()
        if scales is not None:
            factors = factors.reshape(number.low.shape)
        rows.constant("real_multiply_each", factors)


def _piece(plane: int) -> int:
    """The most elements of a plane that can be a row: a divisor of it of at most two rows' length."""
    return max((n for n in range(1, 2 * ROW + 1) if plane % n == 0), default=1)
