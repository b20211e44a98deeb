"""Affine integers: a scale times an integer, less a zero point."""

from dataclasses import dataclass
from math import frexp, ldexp, prod
from typing import Annotated

from narrower.errors import SettingsError
from narrower.plan.formats.family import Family
from narrower.plan.formats.fields import Positive, Switch, Whole, Wholes, Word
from narrower.plan.formats.grid import Grid
from narrower.plan.formats.parts import AXES, GROUPS, PARTS, SCALE_BITS, SCALES, parts_of

OWN = 0.0  # stands for scales that follow from the tensor
WIDEST_OWN = 8
SIGNIFICANT = 16  # bits of scales, so that their multiples of 8 bits are float32 numbers
LARGEST_SCALE = 2.0**100
HOLDS_ALL = (0,)


@dataclass(frozen=True, slots=True)
class Affine:
    """``(clamp(round(x / scale) + zero, low, high) - zero) * scale``, ties to even.

    Symmetric integers are signed, have no zero point and as many values below zero as above; others begin at
    0. A ``scale`` that is given holds for the whole tensor. Without one ("own") each part of the tensor has
    the scale with which it just does not saturate, or with ``range`` "mse" the one that loses least (by the
    squared error): the whole tensor, each channel (``axis``), or each group of 32, 64 or 128 numbers of a
    channel. Scales are any numbers, or powers of two. ``saturating`` lets so many of the largest magnitudes
    of a part (without symmetry: at either end) lie beyond the range; one number for all parts, or one for
    each.
    """

    width: Annotated[int, Whole("a width of affine integers", 2, 16)]
    symmetric: Annotated[bool, Switch("symmetric")] = True
    per: Annotated[str, PARTS] = "tensor"
    scales: Annotated[str, SCALES] = "free"
    scale: Annotated[float, Positive("a scale", LARGEST_SCALE, "own", OWN)] = OWN
    zero: Annotated[int, Whole("a zero point", 0, 2**16 - 1, unit="")] = 0
    axis: Annotated[int, AXES] = 0
    range: Annotated[str, Word("range", ("max", "mse"))] = "max"
    saturating: Annotated[tuple[int, ...], Wholes("how many saturate", 0, 2**20)] = HOLDS_ALL

    def __post_init__(self) -> None:
        AFFINE.check(self)
        if self.is_own and self.width > WIDEST_OWN:
            raise SettingsError(f"scale=own is for widths up to {WIDEST_OWN}, not {self.width}; give a scale")
        if not self.is_own and (self.per != "tensor" or self.range != "max"):
            raise SettingsError(
                f"a scale that is given is for per=tensor and no range, not per={self.per},range={self.range}"
            )
        if self.saturating != HOLDS_ALL and (not self.is_own or self.range != "max"):
            raise SettingsError("saturating is for scale=own and range=max, which holds the others")
        if self.zero > (0 if self.symmetric or self.is_own else 2**self.width - 1):
            raise SettingsError(
                f"zero={self.zero}: a zero point is for symmetric=false with a scale that is given, and fits "
                "the width"
            )
        if self.scales == "power_of_two" and not self.is_own and frexp(self.scale)[0] != 0.5:  # noqa: PLR2004
            raise SettingsError(f"scale={self.scale} is no power of two")

    @property
    def is_own(self) -> bool:
        """Whether the scales follow from the tensor."""
        return self.scale == OWN

    @property
    def needs_all_samples(self) -> bool:
        return self.is_own

    @property
    def bits(self) -> float:
        """With the scale and zero point of a group; those of a channel or tensor count with its size."""
        return self.width + (self._part_bits / GROUPS[self.per] if self.per in GROUPS else 0)

    def stored_bits(self, shape: tuple[int, ...]) -> int:
        parts = parts_of(shape, self.per, self.axis)
        return prod(shape) * self.width + parts * self._part_bits

    @property
    def _part_bits(self) -> int:
        return SCALE_BITS[self.scales] + (0 if self.symmetric else self.width)

    @property
    def integer_range(self) -> tuple[int, int]:
        """Smallest and largest integer."""
        if not self.symmetric:
            return 0, 2**self.width - 1
        high = 2 ** (self.width - 1) - 1
        return -high, high

    @property
    def grid(self) -> Grid | None:
        fraction, exponent = frexp(self.scale)
        if self.is_own or fraction != 0.5:  # noqa: PLR2004 - a power of two
            return None
        low, high = self.integer_range
        return Grid(1 - exponent, low - self.zero, high - self.zero)

    @property
    def text(self) -> str:
        return AFFINE.text(self)


def affine_over(low: float, high: float, width: int, *, symmetric: bool, scales: str) -> Affine:
    """The format of a whole tensor that just does not saturate from ``low`` to ``high``; 0 lies between."""
    low, high = min(low, 0.0), max(high, 0.0)
    largest = 2 ** (width - 1) - 1 if symmetric else 2**width - 1
    reach = max(-low, high) if symmetric else high - low
    fraction, exponent = frexp(reach / largest if reach > 0 else 1.0)
    if scales == "power_of_two":
        scale = ldexp(1.0, exponent - (fraction == 0.5))  # noqa: PLR2004
    else:
        scale = ldexp(round(ldexp(fraction, SIGNIFICANT)), exponent - SIGNIFICANT)
    scale = min(max(scale, 1 / LARGEST_SCALE), LARGEST_SCALE)
    zero = 0 if symmetric else min(round(-low / scale), largest)
    return Affine(width, symmetric, scales=scales, scale=scale, zero=zero)


AFFINE = Family(
    Affine,
    names={"affine": {}},
    examples={
        "affine(8)": "from -127 to 127 times the scale of the tensor",
        "affine(4,per=channel)": "a scale for each channel",
        "affine(4,symmetric=false,per=group32)": "a scale and a zero point for each 32 numbers of a channel",
        "affine(4,per=channel,scales=power_of_two)": "scales are powers of two",
        "affine(4,per=channel,range=mse)": "the scale that loses least, not the one that saturates nothing",
        "affine(4,per=channel,saturating=0_2_1)": "of each of three channels so many weights saturate",
        "affine(8,symmetric=false,scale=0.0125,zero=17)": "from -17 to 238 times 0.0125: what data have",
        "affine(8,scale=0.0625)": "a power of two as scale: from -127 to 127 sixteenths",
    },
)
