"""Fixed point: integers times a power of two."""

from dataclasses import dataclass

from narrower.errors import SettingsError

LARGEST_WIDTH = 32
LARGEST_SHIFT = 64


@dataclass(frozen=True, slots=True)
class FixedPoint:
    """``clamp(round_half_even(x * 2**frac), low, high) / 2**frac``.

    ``width`` counts all bits, ``frac`` those after the binary point; ``frac`` may be negative or above
    ``width``. In the notation of Vitis HLS, ``fixed(8,frac=4)`` is ``ap_fixed<8, 4, AP_RND_CONV, AP_SAT>``,
    whose second number counts integer bits.
    """

    width: int
    frac: int
    signed: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.width <= LARGEST_WIDTH:
            raise SettingsError(f"a fixed-point width is 1 to {LARGEST_WIDTH} bits, not {self.width}")
        if not -LARGEST_SHIFT <= self.frac <= LARGEST_SHIFT:
            raise SettingsError(
                f"a fraction width is -{LARGEST_SHIFT} to {LARGEST_SHIFT} bits, not {self.frac}"
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
        if self.signed:
            return -(2 ** (self.width - 1)), 2 ** (self.width - 1) - 1
        return 0, 2**self.width - 1

    @property
    def text(self) -> str:
        name = "fixed" if self.signed else "ufixed"
        return f"{name}({self.width},frac={self.frac})"
