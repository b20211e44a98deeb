"""Fixed point of which a share of the numbers is zero: the smallest of a tensor, or of each group."""

from dataclasses import dataclass
from math import ceil, log2, prod
from typing import Annotated

from narrower.errors import SettingsError
from narrower.plan.formats.family import Family
from narrower.plan.formats.fields import Whole
from narrower.plan.formats.fixed import FRACTIONS, OVERFLOWS, ROUNDINGS, WIDTHS, FixedPoint
from narrower.plan.formats.grid import Grid
from narrower.plan.formats.parts import AXES

PERCENT = 100
ZEROS = Whole("a share of zeros", 1, 99, unit=" %")
GROUP = Whole("a group", 0, 64, unit=" numbers")


@dataclass(frozen=True, slots=True)
class Sparse:
    """``FixedPoint`` of which ``zeros`` percent are exactly zero, by size before rounding.

    With ``group`` 0 these are the smallest of the tensor; otherwise of each so many numbers that follow one
    another along ``axis``: N:M sparsity, 2:4 as zeros=50 and group=4. Which ones follows from the tensor.
    """

    width: Annotated[int, WIDTHS]
    frac: Annotated[int, FRACTIONS]
    zeros: Annotated[int, ZEROS]
    group: Annotated[int, GROUP] = 0
    axis: Annotated[int, AXES] = -1
    rounding: Annotated[str, ROUNDINGS] = "half_even"
    overflow: Annotated[str, OVERFLOWS] = "saturate"

    def __post_init__(self) -> None:
        SPARSE.check(self)
        if self.group == 1:
            raise SettingsError("group is 0, for the whole tensor, or 2 to 64 numbers, not 1")
        _ = self.values  # checks what goes together

    @property
    def values(self) -> FixedPoint:
        """The format of what is not zero."""
        return FixedPoint(self.width, self.frac, True, self.rounding, self.overflow)

    @property
    def needs_all_samples(self) -> bool:
        """Which numbers are zero depends on all of them."""
        return True

    @property
    def block(self) -> int:
        """Numbers that are compared with one another; of a whole tensor more than any has."""
        return self.group or 2**62

    @property
    def kept_of_group(self) -> int:
        """How many numbers of a group are not zero."""
        return max(1, self.group - round(self.group * self.zeros / PERCENT))

    @property
    def kept_share(self) -> float:
        """The share of numbers that is not zero."""
        return self.kept_of_group / self.group if self.group else 1 - self.zeros / PERCENT

    def kept(self, shape: tuple[int, ...]) -> int:
        """How many numbers of a tensor of this shape are not zero."""
        count = prod(shape)
        if not self.group:
            return max(1, round(count * (PERCENT - self.zeros) / PERCENT)) if count else 0
        length = shape[self.axis if -len(shape) <= self.axis < len(shape) else -1] if shape else 1
        whole, rest = divmod(length, self.group)
        in_line = whole * self.kept_of_group + min(rest, self.kept_of_group)
        return in_line * (count // max(1, length))

    @property
    def bits(self) -> int:
        return self.width

    def stored_bits(self, shape: tuple[int, ...]) -> int:
        """What is kept, and where it stands: a bit for each number, or the places of what a group keeps."""
        kept = self.kept(shape)
        index = ceil(log2(self.group)) if self.group > 1 else 0
        return kept * self.width + (min(prod(shape), kept * index) if self.group else prod(shape))

    @property
    def grid(self) -> Grid:
        return self.values.grid

    @property
    def text(self) -> str:
        return SPARSE.text(self)


def kept_share(number_format: object) -> float:
    """The share of numbers that a format does not make zero."""
    return number_format.kept_share if isinstance(number_format, Sparse) else 1.0


SPARSE = Family(
    Sparse,
    names={"sparse": {}},
    examples={
        "sparse(4,frac=2,zeros=50)": "`fixed(4,frac=2)` with the smaller half of the tensor zero",
        "sparse(4,frac=2,zeros=50,group=4,axis=1)": "2:4: of each 4 along axis 1 the smaller 2 are zero",
    },
)
