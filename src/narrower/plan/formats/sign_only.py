"""Numbers that are little more than their signs: binary and ternary, with a scale."""

from dataclasses import dataclass
from math import frexp, prod
from typing import Annotated

from narrower.errors import SettingsError
from narrower.plan.formats.family import Family
from narrower.plan.formats.fields import Positive, Word
from narrower.plan.formats.grid import Grid
from narrower.plan.formats.parts import AXES, FREE_SCALE_BITS, parts_of

OWN = 0.0  # stands for what follows from the tensor
LARGEST = 2.0**100
PER = Word("per", ("tensor", "channel"))
TERNARY_SHARE = 0.75  # of the mean magnitude: Li et al. 2016, "Ternary weight networks", eq. 6


@dataclass(frozen=True, slots=True)
class Binary:
    """``scale`` where x is 0 or more, and ``-scale`` below; a scale of its own is the mean of abs(x)."""

    scale: Annotated[float, Positive("a scale", LARGEST, "own", OWN)] = OWN
    per: Annotated[str, PER] = "tensor"
    axis: Annotated[int, AXES] = 0

    def __post_init__(self) -> None:
        BINARY.check(self)
        _check_given(self.scale, self.per)

    @property
    def needs_all_samples(self) -> bool:
        return self.scale == OWN

    @property
    def has_zero(self) -> bool:
        return False

    @property
    def bits(self) -> int:
        return 1

    def stored_bits(self, shape: tuple[int, ...]) -> int:
        return prod(shape) + parts_of(shape, self.per, self.axis) * FREE_SCALE_BITS

    @property
    def grid(self) -> Grid | None:
        return _grid(self.scale)

    @property
    def text(self) -> str:
        return BINARY.text(self)


@dataclass(frozen=True, slots=True)
class Ternary:
    """0 where abs(x) is at most ``threshold``, ``scale`` above and ``-scale`` below.

    A threshold of its own is 3/4 of the mean of abs(x), a scale of its own the mean of what lies above.
    """

    scale: Annotated[float, Positive("a scale", LARGEST, "own", OWN)] = OWN
    threshold: Annotated[float, Positive("a threshold", LARGEST, "own", OWN)] = OWN
    per: Annotated[str, PER] = "tensor"
    axis: Annotated[int, AXES] = 0

    def __post_init__(self) -> None:
        TERNARY.check(self)
        _check_given(max(self.scale, self.threshold), self.per)
        if self.threshold != OWN and not self.threshold < self.scale:
            raise SettingsError(f"threshold={self.threshold} needs a scale above it that is given")

    @property
    def needs_all_samples(self) -> bool:
        return OWN in (self.scale, self.threshold)

    @property
    def bits(self) -> int:
        return 2

    def stored_bits(self, shape: tuple[int, ...]) -> int:
        scales = parts_of(shape, self.per, self.axis) * FREE_SCALE_BITS
        return prod(shape) * self.bits + scales

    @property
    def grid(self) -> Grid | None:
        return _grid(self.scale)

    @property
    def text(self) -> str:
        return TERNARY.text(self)


def _check_given(number: float, per: str) -> None:
    if number != OWN and per != "tensor":
        raise SettingsError(f"what is given is for per=tensor, not per={per}")


def _grid(scale: float) -> Grid | None:
    fraction, exponent = frexp(scale)
    return Grid(1 - exponent, -1, 1) if fraction == 0.5 else None  # noqa: PLR2004 - a power of two


BINARY = Family(
    Binary,
    names={"binary": {}},
    examples={
        "binary": "plus or minus the mean magnitude of the tensor",
        "binary(per=channel)": "plus or minus that of the channel",
        "binary(scale=1.0)": "-1 or 1",
    },
)
TERNARY = Family(
    Ternary,
    names={"ternary": {}},
    examples={
        "ternary": "0, or plus or minus a scale: up to 3/4 of the mean magnitude is 0",
        "ternary(scale=1.0)": "-1, 0 or 1, with that threshold",
        "ternary(scale=1.0,threshold=0.5)": "-1, 0 or 1, with this threshold",
    },
)
