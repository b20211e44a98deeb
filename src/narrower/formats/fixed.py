"""Fixed point: integers times a power of two."""

from dataclasses import dataclass
from typing import Annotated

from narrower.formats.family import Family
from narrower.formats.fields import Switch, Whole
from narrower.formats.grid import Grid

WIDTHS = Whole("a fixed-point width", 1, 32)
FRACTIONS = Whole("a fraction width", -64, 64, {"NA": lambda given: int(given["width"]) // 2})


@dataclass(frozen=True, slots=True)
class FixedPoint:
    """``clamp(round_half_even(x * 2**frac), low, high) / 2**frac``.

    ``width`` counts all bits, ``frac`` those after the binary point; ``frac`` may be negative or above
    ``width``. In the notation of Vitis HLS, ``fixed(8,frac=4)`` is ``ap_fixed<8, 4, AP_RND_CONV, AP_SAT>``,
    whose second number counts integer bits.
    """

    width: Annotated[int, WIDTHS]
    frac: Annotated[int, FRACTIONS]
    signed: Annotated[bool, Switch("signed")] = True

    def __post_init__(self) -> None:
        FIXED.check(self)

    @property
    def bits(self) -> int:
        return self.width

    @property
    def step(self) -> float:
        """Distance between neighbouring values."""
        return 2.0**-self.frac

    @property
    def integer_range(self) -> tuple[int, int]:
        """Smallest and largest value, in steps."""
        if self.signed:
            return -(2 ** (self.width - 1)), 2 ** (self.width - 1) - 1
        return 0, 2**self.width - 1

    @property
    def grid(self) -> Grid:
        return Grid(self.frac, *self.integer_range)

    @property
    def text(self) -> str:
        return FIXED.text(self)


FIXED = Family(
    FixedPoint,
    names={"fixed": {}, "ufixed": {"signed": False}},
    examples={
        "fixed(8,frac=4)": "signed fixed point: 8 bits in all, 4 of them behind the binary point",
        "fixed(8,frac=NA)": "the same with half of the width behind the binary point",
        "ufixed(8,frac=4)": "without a sign",
    },
    spellings=("integer",),
)
