"""A format with a width for each entry, of which only the text is known: its arrays lie elsewhere."""

import re
from dataclasses import dataclass
from math import prod

from narrower.errors import SettingsError
from narrower.plan.formats.fixed_each import NAME
from narrower.plan.formats.grid import Grid

TENSORS = "narrower.formats."  # how the names of their arrays begin in a file of weights
FORM = re.compile(
    rf"\s*{NAME}\((?P<mean>\d+(\.\d+)?),widest=(?P<widest>\d+),digest=(?P<digest>[0-9a-f]+)\)\s*"
)


@dataclass(frozen=True, slots=True)
class StoredEach:
    """Enough to show a plan and to find the arrays of its format: mean width, widest, and digest."""

    mean_bits: float
    bits: int
    digest: str
    text: str

    @property
    def grid(self) -> Grid | None:
        """None: entries lie on grids of their own."""
        return None

    def stored_bits(self, shape: tuple[int, ...]) -> int:
        """By the mean width."""
        return round(prod(shape) * self.mean_bits)


def read_stored(text: str) -> StoredEach:
    """Read the text form of ``FixedEach``.

    Raises:
        SettingsError: it is none.
    """
    match = FORM.fullmatch(text)
    if match is None:
        raise SettingsError(
            f"{text!r} is no number format; example: {NAME}(2.75,widest=6,digest=0123456789abcdef), as "
            "searches with learned widths write it"
        )
    return StoredEach(float(match["mean"]), int(match["widest"]), match["digest"], text.strip())
