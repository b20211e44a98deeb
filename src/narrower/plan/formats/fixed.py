"""Fixed point: integers times a power of two."""

from dataclasses import dataclass
from math import prod
from typing import Annotated

from narrower.errors import SettingsError
from narrower.plan.formats.family import Family
from narrower.plan.formats.fields import Switch, Whole, Word
from narrower.plan.formats.grid import Grid

WIDTHS = Whole("a fixed-point width", 1, 32)
FRACTIONS = Whole("a fraction width", -64, 64, {"NA": lambda given: int(given["width"]) // 2})
ROUNDINGS = Word("rounding", ("half_even", "half_up", "floor"))
OVERFLOWS = Word("overflow", ("saturate", "saturate_symmetric", "wrap"))
EXACT_WIDTH = 24  # bits of the integers that float32 holds all of


@dataclass(frozen=True, slots=True)
class FixedPoint:
    """``clamp(round(x * 2**frac), low, high) / 2**frac``.

    ``width`` counts all bits, ``frac`` those after the binary point; ``frac`` may be negative or above
    ``width``. ``rounding`` is to the nearest step, with ties to the even one or upwards, or down to the next
    step. ``overflow`` is to the nearest end of the range, which may be made symmetric, or drops the bits
    above. In the notation of Vitis HLS, ``fixed(8,frac=4)`` is ``ap_fixed<8, 4, AP_RND_CONV, AP_SAT>``, whose
    second number counts integer bits; the others are AP_RND and AP_TRN, AP_SAT_SYM and AP_WRAP.
    """

    width: Annotated[int, WIDTHS]
    frac: Annotated[int, FRACTIONS]
    signed: Annotated[bool, Switch("signed")] = True
    rounding: Annotated[str, ROUNDINGS] = "half_even"
    overflow: Annotated[str, OVERFLOWS] = "saturate"

    def __post_init__(self) -> None:
        FIXED.check(self)
        if self.overflow == "saturate_symmetric" and self.signed and self.width == 1:
            raise SettingsError("overflow=saturate_symmetric leaves one signed bit nothing but 0; use 2 bits")
        if self.overflow == "wrap" and self.width > EXACT_WIDTH:
            raise SettingsError(
                f"overflow=wrap is for widths up to {EXACT_WIDTH}, whose integers float32 holds, "
                f"not {self.width}"
            )

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
        if not self.signed:
            return 0, 2**self.width - 1
        high = 2 ** (self.width - 1) - 1
        return -high if self.overflow == "saturate_symmetric" else -high - 1, high

    @property
    def grid(self) -> Grid:
        return Grid(self.frac, *self.integer_range)

    def stored_bits(self, shape: tuple[int, ...]) -> int:
        return prod(shape) * self.bits

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
        "fixed(8,frac=4,rounding=half_up)": "ties go upwards, not to the even step",
        "fixed(8,frac=4,rounding=floor)": "down to the next step",
        "fixed(8,frac=4,overflow=saturate_symmetric)": "from -127 to 127 steps",
        "fixed(8,frac=4,overflow=wrap)": "the bits above the range are dropped",
    },
)
