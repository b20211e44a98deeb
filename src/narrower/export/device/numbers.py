"""What the whole numbers in a buffer stand for, and between which ends they lie."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
EXACT = 2**24  # up to here float32 holds every whole number
FINEST = 126  # fraction bits of numbers that are added exactly
WIDEST_SHIFT = 26  # of numbers up to 2**24: more bits leave the same


@dataclass(frozen=True, eq=False)
class Real:
    """Elements are the bits of float32 numbers; ``positive``: none of them is negative."""

    positive: bool = False


@dataclass(frozen=True, eq=False)
class Whole:
    """Elements are ``n * 2**-frac * scale`` for whole n from ``low`` to ``high``.

    ``low`` and ``high`` are of any shape that broadcasts to that of one sample. ``fracs`` takes the place of
    ``frac`` where entries have steps of their own, and has the shape of the last axes. ``scale``: 1, or that
    of affine data.
    """

    frac: int
    low: Integers
    high: Integers
    fracs: Integers | None = None
    scale: float = 1.0

    @property
    def limits(self) -> tuple[int, int]:
        """Smallest and largest number of all."""
        return int(self.low.min()), int(self.high.max())

    @property
    def largest(self) -> int:
        """Largest magnitude."""
        low, high = self.limits
        return max(-low, high)

    @property
    def is_exact(self) -> bool:
        """Whether float32 holds each of them."""
        return self.largest <= EXACT


Number = Real | Whole


def whole(frac: int, low: object, high: object) -> Whole:
    """Whole numbers on one grid."""
    return Whole(frac, np.asarray(low, np.int64), np.asarray(high, np.int64))


# C's types by (bits, signed), the narrowest first.
TYPES = (("uint8_t", 0, 2**8 - 1), ("int8_t", -(2**7), 2**7 - 1), ("uint16_t", 0, 2**16 - 1),
         ("int16_t", -(2**15), 2**15 - 1), ("int32_t", -(2**31), 2**31 - 1))  # fmt: skip
REAL_TYPE = "uint32_t"  # the bits of a float32
SIZES = {
    "uint8_t": 1,
    "int8_t": 1,
    "uint16_t": 2,
    "int16_t": 2,
    "int32_t": 4,
    "uint32_t": 4,
    "float": 4,
    "int64_t": 8,
}


def type_of(low: int, high: int) -> str:
    """The narrowest type of C for whole numbers."""
    return next(name for name, least, most in TYPES if least <= low and high <= most)


def type_of_number(number: Number) -> str:
    """The type of the elements of a buffer."""
    return REAL_TYPE if isinstance(number, Real) else type_of(*number.limits)


def bits_of(values: NDArray[np.floating]) -> NDArray[np.uint32]:
    """The bits of float32 numbers."""
    return np.ascontiguousarray(values, np.float32).view(np.uint32)


def is_positive(number: Number) -> bool:
    """Whether none of the numbers is negative."""
    return number.positive if isinstance(number, Real) else number.limits[0] >= 0


def refined(number: Whole, frac: int) -> Whole | None:
    """The same numbers in finer steps; None where float32 does not hold them."""
    shift = frac - number.frac
    if shift < 0 or shift > WIDEST_SHIFT or number.largest << shift > EXACT:
        return None
    return whole(frac, number.low << shift, number.high << shift)


def fraction_of(values: Floats) -> int | None:
    """The fewest fraction bits that hold numbers exactly; None where they are not finite."""
    if not np.isfinite(values).all():
        return None
    if not values.any():
        return -FINEST
    mantissas, exponents = np.frexp(values[values != 0])
    odd = np.abs(np.ldexp(mantissas, 53)).astype(np.int64)
    zeros = np.frexp((odd & -odd).astype(np.float64))[1] - 1
    return int((53 - zeros - exponents).max())


def c_integer(value: int) -> str:
    """A number of 32 bits as C writes it."""
    return "INT32_MIN" if value == -(2**31) else str(value)
