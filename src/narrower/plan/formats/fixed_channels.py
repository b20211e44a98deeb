"""Fixed point with a fraction width for each channel of a weight."""

from dataclasses import dataclass
from math import prod
from typing import Annotated

from narrower.errors import SettingsError
from narrower.plan.formats.family import Family
from narrower.plan.formats.fields import Wholes
from narrower.plan.formats.fixed import FRACTIONS, OVERFLOWS, ROUNDINGS, WIDTHS, FixedPoint
from narrower.plan.formats.grid import Grid
from narrower.plan.formats.parts import AXES, POWER_OF_TWO_BITS


@dataclass(frozen=True, slots=True)
class FixedChannels:
    """``FixedPoint`` of one width whose binary point is where ``fracs`` says, along ``axis``.

    One fraction alone is that of all channels. Each counts as an exponent of 8 bits.
    """

    width: Annotated[int, WIDTHS]
    fracs: Annotated[tuple[int, ...], Wholes("a fraction width", FRACTIONS.low, FRACTIONS.high)]
    axis: Annotated[int, AXES] = 0
    rounding: Annotated[str, ROUNDINGS] = "half_even"
    overflow: Annotated[str, OVERFLOWS] = "saturate"

    def __post_init__(self) -> None:
        FIXED_CHANNELS.check(self)
        _ = self.steps  # checks what goes together

    @property
    def steps(self) -> FixedPoint:
        """The integers of all channels."""
        return FixedPoint(self.width, 0, True, self.rounding, self.overflow)

    @property
    def needs_all_samples(self) -> bool:
        """Channels are those of a weight: no part of one can be rounded alone."""
        return True

    @property
    def bits(self) -> int:
        return self.width

    def stored_bits(self, shape: tuple[int, ...]) -> int:
        return prod(shape) * self.width + len(self.fracs) * POWER_OF_TWO_BITS

    @property
    def grid(self) -> Grid | None:
        """That of all channels where they have one."""
        return Grid(self.fracs[0], *self.steps.integer_range) if len(set(self.fracs)) == 1 else None

    def fracs_along(self, shape: tuple[int, ...]) -> tuple[tuple[int, ...], int]:
        """The fractions of the channels of a tensor of this shape, and their axis.

        Raises:
            SettingsError: it has another number of channels.
        """
        axis = self.axis if -len(shape) <= self.axis < len(shape) else 0
        count = shape[axis] if shape else 1
        if len(self.fracs) not in (1, count):
            raise SettingsError(
                f"a tensor with {count} channels along axis {axis} cannot be rounded to "
                f"{FIXED_CHANNELS.name} with {len(self.fracs)} fractions; these are those of one weight"
            )
        return self.fracs, axis

    @property
    def text(self) -> str:
        return FIXED_CHANNELS.text(self)


FIXED_CHANNELS = Family(
    FixedChannels,
    names={"fixed_channels": {}},
    examples={
        "fixed_channels(4,fracs=3_5_4)": "4 bits; of the three channels 3, 5 and 4 behind the binary point",
    },
)
