"""What becomes of a row of numbers between a product and the buffer it is stored in, step by step in C."""

from math import frexp, prod

import numpy as np

from narrower.export.device.loops import Loops
from narrower.export.device.numbers import (
    EXACT,
    FINEST,
    Floats,
    Integers,
    Number,
    Real,
    Whole,
    bits_of,
    c_integer,
    fraction_of,
    is_positive,
    refined,
    type_of_number,
    whole,
)
from narrower.export.device.runtime_typed import SHORT
from narrower.export.device.source import Source, Step, View
from narrower.export.device.thresholds import Thresholds

INFINITIES = (0xFF800000, 0x7F800000)


class Rows:
    """The rows of one step, inside its loops; ``number`` says what they hold at the moment."""

    def __init__(self, source: Source, step: Step, loops: Loops, number: Number) -> None:
        self.source, self.step, self.loops, self.number = source, step, loops, number
        source.longest_row = max(source.longest_row, loops.longest)
        step.lines += ["    {", *loops.declarations(), *loops.opening()]
        self.line(loops.length())

    def end(self) -> None:
        """Close the loops."""
        self.step.lines += [*self.loops.closing(), "    }"]

    def line(self, text: str) -> None:
        """Write one statement of the innermost loop."""
        self.step.lines.append(f"{self.loops.indent}{text}")

    def _use(self, function: str) -> None:
        self.source.use(function)
        self.source.count(function, self.loops.rows, prod(self.loops.shape))

    def call(self, function: str, *arguments: object) -> None:
        """Call a function of the library on the row."""
        self._use(function)
        self.line(f"{function}(sums, n{''.join(f', {a}' for a in arguments)});")

    def load(self, view: View, row: str = "sums") -> None:
        """Read a row of a stored value."""
        name = f"load_{SHORT[view.buffer.kind]}"
        self._use(name)
        self.step.reads.add(view.buffer.position)
        index, stride = self.loops.index(view.strides)
        self.line(f"{name}({row}, n, {view.pointer(index)}, {stride});")

    def join(self, view: View, *, subtract: bool) -> None:
        """Add the elements of a stored value, or subtract them."""
        number = self._load_other(view)
        mine = self.number
        frac = max(n.frac if isinstance(n, Whole) else 0 for n in (mine, number))
        finer = [
            refined(n, frac) if isinstance(n, Whole) and n.scale == 1.0 else None for n in (mine, number)
        ]
        if finer[0] is not None and finer[1] is not None:
            low, high = finer[1].low, finer[1].high
            ends = (
                (finer[0].low - high, finer[0].high - low)
                if subtract
                else (finer[0].low + low, finer[0].high + high)
            )
            if max(-ends[0].min(), ends[1].max()) <= EXACT:
                self.refine(frac)
                factor = (-1 if subtract else 1) * 2 ** (frac - number.frac)  # type: ignore[union-attr]
                if factor != 1:
                    self._call_other("multiply", factor)
                self._two("add")
                self.number = whole(frac, *ends)
                return
        self._other_to_real(number)
        self.to_real()
        if subtract:
            self._call_other("real_sign", "0xffffffffu", "0x80000000u")
        positive = self.is_positive and not subtract and is_positive(number)
        self._two("real_add")
        self.number = Real(positive)

    def times(self, view: View) -> None:
        """Multiply by the elements of a stored value."""
        number = self._load_other(view)
        self._other_to_real(number)
        self.to_real()
        positive = self.is_positive and is_positive(number)
        self._two("real_multiply")
        self.number = Real(positive)

    def extreme(self, view: View) -> None:
        """The larger of each two elements."""
        number = self._load_other(view)
        self._other_to_real(number)
        self.to_real()
        positive = self.is_positive or is_positive(number)
        self._two("real_maximum")
        self.number = Real(positive)

    def _load_other(self, view: View) -> Number:
        self.source.reads_two_rows = True
        self.load(view, "others")
        return view.number

    def _two(self, function: str) -> None:
        self._use(function)
        self.line(f"{function}(sums, others, n);")

    def _call_other(self, function: str, *arguments: object) -> None:
        self._use(function)
        self.line(f"{function}(others, n{''.join(f', {a}' for a in arguments)});")

    def _other_to_real(self, number: Number) -> None:
        if isinstance(number, Whole):
            self._call_other("real_of", number.frac)
            if number.scale != 1.0:
                name = self.source.array("uint32_t", bits_of(np.array(number.scale)), "real")
                self._call_other("real_multiply_each", name, 0)

    def store(self, view: View) -> None:
        """Write the row to where a value is stored."""
        name = f"store_{SHORT[view.buffer.kind]}"
        self._use(name)
        self.step.writes.add(view.buffer.position)
        index, stride = self.loops.index(view.strides)
        self.line(f"{name}({view.pointer(index)}, sums, n, {stride});")

    @property
    def storage(self) -> str:
        """The type of the buffer that would hold the row."""
        return type_of_number(self.number)

    @property
    def is_positive(self) -> bool:
        """Whether no number of the row is negative."""
        return is_positive(self.number)

    def to_real(self) -> None:
        """Turn whole numbers into float32 numbers."""
        if isinstance(self.number, Real):
            return
        number = self.number
        if number.fracs is not None:
            raise AssertionError("entries with steps of their own are read by products alone")
        positive = self.is_positive
        self.call("real_of", number.frac)
        self.number = Real(positive)
        if number.scale != 1.0:
            self.constant("real_multiply_each", np.array(number.scale))

    def constant(self, function: str, values: Floats) -> None:
        """Call a function with float32 constants that broadcast to a sample."""
        name = self.source.array("uint32_t", bits_of(values), "real")
        index, step = self.loops.index(self.loops.broadcast(values.shape))
        self.call(function, f"{name} + {index}" if index != "0" else name, step)

    def add_constant(self, values: Floats) -> None:
        """Add numbers that broadcast to a sample: exactly where float32 would be exact."""
        if isinstance(self.number, Whole) and self.number.scale == 1.0:
            frac = fraction_of(values)
            finer = None if frac is None else max(frac, self.number.frac)
            if finer is not None and abs(finer) <= FINEST:
                raised = refined(self.number, finer)
                addend = np.ldexp(values, finer)
                if raised is not None and np.abs(addend).max() <= EXACT:
                    low, high = raised.low + addend.astype(np.int64), raised.high + addend.astype(np.int64)
                    if max(-low.min(), high.max()) <= EXACT:
                        self._add_whole(raised, addend.astype(np.int64))
                        self.number = whole(finer, low, high)
                        return
        self.to_real()
        self.constant("real_add_each", values)
        self.number = Real(self.is_positive and bool((values >= 0).all()))

    def refine(self, frac: int) -> bool:
        """Go over to finer steps, where float32 holds all numbers in them."""
        assert isinstance(self.number, Whole)
        raised = refined(self.number, frac)
        if raised is None:
            return False
        if frac != self.number.frac:
            self.call("multiply", 2 ** (frac - self.number.frac))
        self.number = raised
        return True

    def _add_whole(self, raised: Whole, addend: Integers) -> None:
        self.refine(raised.frac)
        if addend.any():
            name = self.source.array("int32_t", addend, "whole")
            index, step = self.loops.index(self.loops.broadcast(addend.shape))
            self.call("add_each", f"{name} + {index}" if index != "0" else name, step)

    def multiply_constant(self, values: Floats) -> None:
        """Multiply by numbers that broadcast to a sample."""
        first = float(values.reshape(-1)[0])
        if isinstance(self.number, Whole) and (values == first).all() and abs(frexp(first)[0]) == 0.5:  # noqa: PLR2004
            number = self.number
            frac = number.frac - (frexp(first)[1] - 1)
            if first < 0:
                self.call("multiply", -1)
                self.number = Whole(frac, -number.high, -number.low, scale=number.scale)
            else:
                self.number = Whole(frac, number.low, number.high, scale=number.scale)
            return
        self.to_real()
        self.constant("real_multiply_each", values)
        self.number = Real(self.is_positive and bool((values >= 0).all()))

    def divide_constant(self, values: Floats) -> None:
        """Divide by numbers that broadcast to a sample."""
        first = float(values.reshape(-1)[0])
        if (values == first).all() and abs(frexp(first)[0]) == 0.5:  # noqa: PLR2004
            self.multiply_constant(1 / values)
            return
        self.to_real()
        self.constant("real_divide_each", values)
        self.number = Real(self.is_positive and bool((values > 0).all()))

    def bound(self, low: float, high: float) -> None:
        """Clamp to two numbers, of which each may be infinite."""
        if isinstance(self.number, Whole) and self.number.scale == 1.0:
            ends = [end for end in (low, high) if np.isfinite(end)]
            frac = fraction_of(np.array(ends)) if ends else 0
            finer = None if frac is None else max(frac, self.number.frac)
            if (
                finer is not None
                and all(abs(np.ldexp(e, finer)) <= EXACT for e in ends)
                and self.refine(finer)
            ):
                least, most = (int(np.ldexp(e, finer)) if np.isfinite(e) else None for e in (low, high))
                self.bound_whole(least, most)
                return
        self.to_real()
        bits = [f"0x{bits_of(np.array(end)).item():08x}u" if np.isfinite(end) else f"0x{i:08x}u"
                for end, i in zip((low, high), INFINITIES, strict=True)]  # fmt: skip
        self.call("real_bound", *bits)
        self.number = Real(self.is_positive or low >= 0)

    def bound_whole(self, low: int | None, high: int | None) -> None:
        """Clamp whole numbers, unless all of them lie between already."""
        assert isinstance(self.number, Whole)
        number = self.number
        least, most = number.limits
        if (low is None or low <= least) and (high is None or most <= high):
            return
        ends = [
            "INT32_MIN" if low is None else c_integer(low),
            "INT32_MAX" if high is None else c_integer(high),
        ]
        self.call("bound", *ends)
        self.number = Whole(
            number.frac,
            np.clip(number.low, low, high),
            np.clip(number.high, low, high),
            number.fracs,
            number.scale,
        )

    def magnitude(self) -> None:
        """Take the absolute values."""
        if isinstance(self.number, Real):
            self.call("real_sign", "0x7fffffffu", 0)
            self.number = Real(True)
            return
        self.call("magnitude")
        number = self.number
        low = np.maximum(np.maximum(number.low, -number.high), 0)
        self.number = Whole(number.frac, low, np.maximum(-number.low, number.high), scale=number.scale)

    def table(self, table: Thresholds, number: Number) -> None:
        """Look float32 numbers up."""
        keys = self.source.array("int32_t", table.keys if len(table.keys) else [0], "keys")
        values = self.source.array("int32_t", table.values, "values")
        self.call("real_table", keys, len(table.keys), values)
        self.number = number
