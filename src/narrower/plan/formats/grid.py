"""The whole numbers of equal steps that all values of a format are, where there are such steps."""

from dataclasses import dataclass

LARGEST_WHOLE = (
    2**24
)  # up to here float32 holds every whole number, so that sums below are exact in any order


@dataclass(frozen=True, slots=True)
class Grid:
    """Every value is ``n * 2**-frac`` for a whole n from ``low`` to ``high``; not every n need occur."""

    frac: int
    low: int
    high: int

    @property
    def step(self) -> float:
        """Distance between neighbours on the grid."""
        return 2.0**-self.frac

    @property
    def limits(self) -> tuple[int, int]:
        """Smallest and largest value, in steps."""
        return self.low, self.high

    @property
    def largest(self) -> int:
        """Largest magnitude, in steps."""
        return max(-self.low, self.high)

    @property
    def signed(self) -> bool:
        return self.low < 0

    @property
    def width(self) -> int:
        """Bits of an integer that holds every n, two's complement where there is a sign."""
        return max(self.high.bit_length(), (-self.low - 1).bit_length() if self.signed else 0) + self.signed
