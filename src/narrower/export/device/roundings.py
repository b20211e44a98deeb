"""How C rounds what a product reads: one kind for each way that number formats round."""

from dataclasses import dataclass
from math import frexp

import numpy as np
from numpy.typing import NDArray

from narrower.errors import ExportError
from narrower.export.device.numbers import FINEST, Number, Whole, whole
from narrower.export.device.thresholds import Thresholds, thresholds
from narrower.plan.formats.affine import Affine
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.formats.fixed_each import FixedEach
from narrower.plan.formats.float32 import Float32
from narrower.plan.formats.number_format import NumberFormat
from narrower.transform.quantizers.quantize import quantize

Integers = NDArray[np.int64]
MODES = {"half_even": 0, "half_up": 1, "floor": 2}
LARGEST = 2**31 - 1


@dataclass(frozen=True)
class OnGrid:
    """Steps of ``2**-frac``, rounded by ``mode``; saturated, or with ``wrap`` bits the lowest of them."""

    frac: int
    low: int
    high: int
    mode: int = 0
    wrap: int = 0

    @property
    def number(self) -> Whole:
        """What the rounded numbers stand for."""
        return whole(self.frac, self.low, self.high)


@dataclass(frozen=True, eq=False)
class OnEach:
    """Steps of ``2**-fracs``, rounded half up, for each entry."""

    fracs: Integers
    low: Integers
    high: Integers
    wraps: bool

    def reshaped(self, shape: tuple[int, ...]) -> "OnEach":
        """The same for entries in another shape."""
        return OnEach(
            self.fracs.reshape(shape), self.low.reshape(shape), self.high.reshape(shape), self.wraps
        )

    @property
    def number(self) -> Whole:
        """What the rounded numbers stand for."""
        return Whole(0, self.low, self.high, self.fracs)


@dataclass(frozen=True)
class Scaled:
    """``round(x * factor)``, ties to even, saturated: affine integers without their zero point."""

    factor: float
    low: int
    high: int
    scale: float

    @property
    def number(self) -> Whole:
        """What the rounded numbers stand for."""
        return Whole(0, np.array(self.low), np.array(self.high), scale=self.scale)


@dataclass(frozen=True, eq=False)
class ByTable:
    """A table of thresholds, in steps of ``2**-frac``."""

    frac: int
    table: Thresholds

    @property
    def number(self) -> Whole:
        """What the rounded numbers stand for."""
        return whole(self.frac, self.table.values.min(), self.table.values.max())


DataRounding = OnGrid | OnEach | Scaled | ByTable


def data_rounding(number_format: NumberFormat, layer: str) -> DataRounding:
    """How C rounds data into a format.

    Raises:
        ExportError: it cannot; the message names layer and format.
    """
    if reason := refused_data(number_format):
        raise ExportError(f"{layer}: its data is {number_format.text}: {reason}")
    if isinstance(number_format, FixedPoint):
        low, high = number_format.integer_range
        wraps = number_format.overflow == "wrap"
        mode = MODES[number_format.rounding]
        return OnGrid(number_format.frac, low, high, mode, number_format.width if wraps else 0)
    if isinstance(number_format, FixedEach):
        fracs, wraps = number_format.fracs.astype(np.int64), number_format.overflow == "wrap"
        return OnEach(fracs, *number_format.integer_ranges, wraps)
    if isinstance(number_format, Affine):
        scale = np.float32(number_format.scale)
        low, high = (end - number_format.zero for end in number_format.integer_range)
        mantissa, exponent = frexp(float(scale))
        if mantissa == 0.5 and abs(exponent) <= FINEST:  # noqa: PLR2004 - a power of two
            return OnGrid(1 - exponent, low, high)
        return Scaled(float(np.float32(1) / scale), low, high, float(scale))
    grid = number_format.grid
    assert grid is not None
    table = thresholds(lambda x: quantize(x, number_format), grid.frac)
    if table is None:
        raise ExportError(f"{layer}: its data is {number_format.text}: too many values for a table")
    return ByTable(grid.frac, table)


def holds(rounding: DataRounding, number: Number) -> bool:
    """Whether numbers stay as they are when they are rounded."""
    if not isinstance(number, Whole) or isinstance(rounding, OnEach | ByTable):
        return False
    wanted, (low, high) = rounding.number, number.limits
    is_same = (wanted.frac, wanted.scale) == (number.frac, number.scale)
    return is_same and wanted.limits[0] <= low and high <= wanted.limits[1]


def refused_data(number_format: NumberFormat) -> str | None:
    """Why C cannot round data into a format; None: it can."""
    if isinstance(number_format, Float32):
        return "C computes with whole numbers, give it a format with a grid"
    if isinstance(number_format, Affine):
        return (
            "its scales follow from the tensor; data need a scale that is given"
            if number_format.is_own
            else None
        )
    if isinstance(number_format, FixedEach):
        return "unsigned words of 32 bits" if (number_format.integer_ranges[1] > LARGEST).any() else None
    if number_format.grid is None:
        return "its numbers lie on no common grid"
    if number_format.grid.high > LARGEST or number_format.grid.low < -LARGEST - 1:
        return "its whole numbers need more than 32 bits with a sign"
    return None
