"""How a row of numbers is rounded to what a product reads, in C."""

import numpy as np
from numpy.typing import NDArray

from narrower.export.device.numbers import WIDEST_SHIFT, Whole, c_integer, whole
from narrower.export.device.roundings import ByTable, DataRounding, OnEach, OnGrid, Scaled
from narrower.export.device.rows import Rows

SHIFTS = ("shift_even", "shift_up", "shift_floor")


def round_row(rows: Rows, rounding: DataRounding) -> None:
    """Round to what a product reads."""
    positive = rows.is_positive
    if isinstance(rounding, Scaled):
        rows.to_real()
        rows.constant("real_multiply_each", np.array(rounding.factor))
        rows.call("real_steps", 0, 0, rounding.low, rounding.high)
        rows.number = rounding.number
    elif isinstance(rounding, ByTable):
        rows.to_real()
        rows.table(rounding.table, rounding.number)
    elif isinstance(rounding, OnEach):
        _round_each(rows, rounding)
    elif isinstance(rows.number, Whole) and rows.number.scale == 1.0:
        _shift(rows, rounding)
    else:
        rows.to_real()
        _round_real(rows, rounding)
    if positive and isinstance(rows.number, Whole) and not getattr(rounding, "wrap", 0):
        number = rows.number
        rows.number = Whole(
            number.frac, np.maximum(number.low, 0), np.maximum(number.high, 0), number.fracs, number.scale
        )


def _round_real(rows: Rows, rounding: OnGrid) -> None:
    if rounding.wrap:
        rows.call("real_wrap", rounding.frac, rounding.mode, rounding.wrap, rounding.low)
    else:
        ends = c_integer(rounding.low), c_integer(rounding.high)
        rows.call("real_steps", rounding.frac, rounding.mode, *ends)
    rows.number = rounding.number


def _round_each(rows: Rows, rounding: OnEach) -> None:
    low = rows.source.array("int32_t", rounding.low, "low")
    high = rows.source.array("int32_t", rounding.high, "high")
    place = _place(rows, rounding)
    if isinstance(rows.number, Whole) and rows.number.scale == 1.0:
        shifts = np.clip(rows.number.frac - rounding.fracs, -32, 40)
        name = rows.source.array("int8_t", shifts, "shifts")
        rows.call("shift_each", *(f"{a}{place}" for a in (name, low, high)), int(rounding.wraps))
    else:
        rows.to_real()
        name = rows.source.array("int8_t", rounding.fracs, "fracs")
        rows.call("real_steps_each", *(f"{a}{place}" for a in (name, low, high)), int(rounding.wraps))
    rows.number = rounding.number


def _place(rows: Rows, rounding: OnEach) -> str:
    index, step = rows.loops.index(rows.loops.broadcast(rounding.fracs.shape))
    assert step == 1 or rows.loops.row == 1
    return f" + {index}" if index != "0" else ""


def _shift(rows: Rows, rounding: OnGrid) -> None:
    assert isinstance(rows.number, Whole)
    number = rows.number
    shift = number.frac - rounding.frac
    if shift < 0 and rounding.wrap:  # the bits above may lie beyond 32
        rows.to_real()
        _round_real(rows, rounding)
        return
    if shift > 0:
        rows.call(SHIFTS[rounding.mode], min(shift, WIDEST_SHIFT))
        low, high = (
            _shifted(end, min(shift, WIDEST_SHIFT), rounding.mode) for end in (number.low, number.high)
        )
        rows.number = whole(rounding.frac, low, high)
    elif shift < 0:
        rows.call("scale_up", min(-shift, 32), c_integer(rounding.low), c_integer(rounding.high))
        ends = (
            np.clip(end << min(-shift, 32), rounding.low, rounding.high) for end in (number.low, number.high)
        )
        rows.number = whole(rounding.frac, *ends)
    else:
        rows.number = whole(rounding.frac, number.low, number.high)
    if not rounding.wrap:
        rows.bound_whole(rounding.low, rounding.high)
        return
    least, most = rows.number.limits
    if least < rounding.low or most > rounding.high:
        rows.call("wrap", rounding.wrap, rounding.low)
        rows.number = rounding.number


def _shifted(values: NDArray[np.int64], shift: int, mode: int) -> NDArray[np.int64]:
    half = 1 << (shift - 1)
    if mode == 0:
        return (values + half - 1 + (values >> shift & 1)) >> shift
    return (values + (half if mode == 1 else 0)) >> shift
