"""Powers of two: a sign and an exponent."""

from dataclasses import dataclass
from math import prod
from typing import Annotated

from narrower.errors import SettingsError
from narrower.plan.formats.family import Family
from narrower.plan.formats.fields import Switch, Whole
from narrower.plan.formats.grid import Grid

BIASES = Whole("an exponent bias", -127, 127, {"NA": lambda given: middle_bias(given["width"])}, unit="")
EXPONENTS = (-126, 127)  # of float32's normal numbers
LARGEST_SPAN = 23  # of exponents whose sums float32 holds


@dataclass(frozen=True, slots=True)
class PowerOfTwo:
    """``+-2**e``, the nearest by its logarithm; e is whole, from ``-bias`` to ``2**(width - 1) - 1 - bias``.

    With ``has_zero``, 0 takes the place of the least exponent, and numbers below half of the next are 0;
    without, what is too small becomes the least power with its sign.
    """

    width: Annotated[int, Whole("a width of powers of two", 2, 8)]
    bias: Annotated[int, BIASES]
    has_zero: Annotated[bool, Switch("has_zero")] = True

    def __post_init__(self) -> None:
        POWER_OF_TWO.check(self)
        if self.least < EXPONENTS[0] or self.most > EXPONENTS[1]:
            raise SettingsError(
                f"a bias of {self.bias} gives powers that float32 does not have; it has 2**{EXPONENTS[0]} to "
                f"2**{EXPONENTS[1]}"
            )

    @property
    def bits(self) -> int:
        return self.width

    def stored_bits(self, shape: tuple[int, ...]) -> int:
        return prod(shape) * self.width

    @property
    def least(self) -> int:
        """The least exponent."""
        return self.has_zero - self.bias

    @property
    def most(self) -> int:
        """The largest exponent."""
        return int(2 ** (self.width - 1)) - 1 - self.bias

    @property
    def grid(self) -> Grid | None:
        span = self.most - self.least
        return Grid(-self.least, -(2**span), 2**span) if span <= LARGEST_SPAN else None

    @property
    def text(self) -> str:
        return POWER_OF_TWO.text(self)


def middle_bias(width: int) -> int:
    """The bias that puts 1 in the middle."""
    return int(2 ** (width - 2)) - 1


POWER_OF_TWO = Family(
    PowerOfTwo,
    names={"power_of_two": {}, "log": {"has_zero": False}},
    examples={
        "power_of_two(4,bias=7)": "0, and plus or minus 2**-6 to 1",
        "log(8,bias=NA)": "plus or minus 2**-63 to 2**64; no zero",
    },
)
