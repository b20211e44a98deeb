"""What every number format can say about itself."""

from typing import Protocol, runtime_checkable

from narrower.plan.formats.grid import Grid


@runtime_checkable
class NumberFormat(Protocol):
    """A frozen, hashable description of the numbers that a tensor may hold."""

    @property
    def bits(self) -> float:
        """Bits that one number takes, with its share of what a block or group of numbers has in common."""

    def stored_bits(self, shape: tuple[int, ...], /) -> int:
        """Bits that a tensor of this shape takes, with all scales that belong to it."""

    @property
    def text(self) -> str:
        """The text form, ``fixed(8,frac=4)``; ``formats.text.parse_format`` reads it back."""

    @property
    def grid(self) -> Grid | None:
        """The grid that its values lie on, whatever the tensor; None where there is none."""
