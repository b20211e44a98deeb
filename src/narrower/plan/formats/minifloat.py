"""Small floating point: any widths of exponent and mantissa."""

from dataclasses import dataclass
from math import prod
from typing import Annotated

from narrower.errors import SettingsError
from narrower.plan.formats.family import Family
from narrower.plan.formats.fields import Switch, Whole, Word
from narrower.plan.formats.grid import LARGEST_WHOLE, Grid

BIASES = Whole("an exponent bias", -160, 160, {"NA": lambda given: usual_bias(given["exponent"])})
FLOAT32_EXPONENTS = (-149, 127)  # of its smallest number and of its largest
LARGEST_SHIFT = 126  # powers of two that float32 has both ways


@dataclass(frozen=True, slots=True)
class Minifloat:
    """A sign, ``exponent`` bits and the rest of ``width`` for the mantissa.

    ``specials`` says which codes are no numbers: none, the largest alone (NaN, as in FP8 E4M3FN), or all of
    the largest exponent (infinities and NaN, as in IEEE 754). Without ``subnormals``, nothing lies between 0
    and the smallest normal number. Without ``hidden_bit`` the mantissa holds its leading one itself: numbers
    are ``0.mantissa * 2**(exponent - bias)``. Numbers too large saturate.
    """

    width: Annotated[int, Whole("a minifloat width", 2, 16)]
    exponent: Annotated[int, Whole("an exponent width", 1, 8)]
    bias: Annotated[int, BIASES]
    specials: Annotated[str, Word("specials", ("none", "nan", "ieee"))] = "none"
    subnormals: Annotated[bool, Switch("subnormals")] = True
    hidden_bit: Annotated[bool, Switch("hidden_bit")] = True

    def __post_init__(self) -> None:
        MINIFLOAT.check(self)
        if self.mantissa < 0:
            raise SettingsError(
                f"{self.width} bits have no room for a sign and {self.exponent} exponent bits"
                + ("" if self.hidden_bit else ", and a leading one that is stored")
            )
        if not self.hidden_bit and (self.specials != "none" or not self.subnormals):
            raise SettingsError("hidden_bit=false is for specials=none and subnormals=true")
        if self.largest_exponent < self.least_exponent:
            raise SettingsError(
                f"specials={self.specials} leaves {self.width} bits with one exponent bit no normal numbers; "
                "use 2 bits"
            )
        smallest, largest = FLOAT32_EXPONENTS
        if self.least_exponent - self.mantissa < smallest or self.largest_exponent > largest:
            raise SettingsError(
                f"a bias of {self.bias} gives numbers that float32 does not have; it has 2**{smallest} to "
                f"2**{largest}"
            )

    @property
    def bits(self) -> int:
        return self.width

    @property
    def mantissa(self) -> int:
        """Bits behind the leading one."""
        return self.width - 1 - self.exponent - (not self.hidden_bit)

    @property
    def least_exponent(self) -> int:
        """The exponent of the smallest normal number."""
        return 1 - self.bias if self.hidden_bit else -1 - self.bias

    @property
    def largest_exponent(self) -> int:
        """The exponent of the largest number."""
        is_taken = (
            not self.hidden_bit or self.specials == "ieee" or (self.specials == "nan" and self.mantissa == 0)
        )
        return int(2**self.exponent - 1 - self.bias - is_taken)

    @property
    def largest(self) -> float:
        """The largest number."""
        last = 2 ** (self.mantissa + 1) - 1 - (self.specials == "nan" and self.mantissa > 0)
        return float(last) * 2.0 ** (self.largest_exponent - self.mantissa)

    @property
    def grid(self) -> Grid | None:
        frac = self.mantissa - self.least_exponent
        if abs(frac) > LARGEST_SHIFT:
            return None
        high = int(self.largest * 2.0**frac) if self.largest_exponent + frac < 64 else LARGEST_WHOLE + 1  # noqa: PLR2004
        return Grid(frac, -high, high) if high <= LARGEST_WHOLE else None

    def stored_bits(self, shape: tuple[int, ...]) -> int:
        return prod(shape) * self.bits

    @property
    def text(self) -> str:
        return MINIFLOAT.text(self)


def usual_bias(exponent: int) -> int:
    """The bias that puts 1 in the middle of the exponents."""
    return int(2 ** (exponent - 1) - 1)


def _settled(width: int, exponent: int, specials: str) -> dict[str, object]:
    return {"width": width, "exponent": exponent, "bias": usual_bias(exponent), "specials": specials}


MINIFLOAT = Family(
    Minifloat,
    names={
        "minifloat": {},
        "minifloat_denorm": {"specials": "none", "subnormals": True, "hidden_bit": False},
        "e4m3fn": _settled(8, 4, "nan"),
        "e5m2": _settled(8, 5, "ieee"),
        "e2m3": _settled(6, 2, "none"),
        "e3m2": _settled(6, 3, "none"),
        "e2m1": _settled(4, 2, "none"),
        "bfloat16": _settled(16, 8, "ieee"),
        "float16": _settled(16, 5, "ieee"),
    },
    examples={
        "minifloat(8,exponent=4,bias=NA)": "4 exponent bits, 3 mantissa bits; NA: a bias of 7",
        "minifloat(8,exponent=4,bias=NA,subnormals=false)": "nothing between 0 and the least normal number",
        "minifloat_denorm(8,exponent=4,bias=NA)": "the mantissa holds its leading one: 0.mmm * 2**(e - 7)",
        "e4m3fn": "FP8 of OCP, largest 448",
        "e5m2": "FP8 of OCP with infinities, largest 57,344",
        "e2m3": "FP6 of OCP, largest 7.5",
        "e3m2": "FP6 of OCP, largest 28",
        "e2m1": "FP4 of OCP, largest 6",
        "bfloat16": "the upper half of float32",
        "float16": "IEEE half precision",
    },
)
