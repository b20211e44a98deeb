"""Blocks of numbers that share an exponent: block floating point, and OCP's microscaling formats (MX)."""

from dataclasses import dataclass
from math import ceil, prod
from typing import Annotated

from narrower.errors import SettingsError
from narrower.plan.formats.family import Family
from narrower.plan.formats.fields import Whole, Word
from narrower.plan.formats.minifloat import usual_bias
from narrower.plan.formats.parts import AXES

BLOCKS = Whole("a block", 1, 1024, unit=" numbers")
ELEMENT_BITS = {"e4m3fn": 8, "e5m2": 8, "e2m3": 6, "e3m2": 6, "e2m1": 4, "int8": 8}
MX_SCALE_BITS = 8  # E8M0: a power of two
BIASES = Whole("an exponent bias", -127, 127, {"NA": lambda given: usual_bias(given["exponent"])}, unit="")


@dataclass(frozen=True, slots=True)
class BlockFloat:
    """``k * 2**(e - width + 1)``, with an exponent e for each block and a whole abs(k) < 2**(width - 1).

    The exponent is that of the power of two at or above the block's largest magnitude, from ``-bias`` to
    ``2**exponent - 1 - bias``. Blocks lie along ``axis``.
    """

    width: Annotated[int, Whole("a width of block floating point", 2, 16)]
    block: Annotated[int, BLOCKS]
    exponent: Annotated[int, Whole("an exponent width", 1, 8)] = 8
    bias: Annotated[int, BIASES] = 127
    axis: Annotated[int, AXES] = -1

    def __post_init__(self) -> None:
        BLOCK_FLOAT.check(self)

    @property
    def needs_all_samples(self) -> bool:
        return self.axis == 0

    @property
    def bits(self) -> float:
        """With the share of the block's exponent."""
        return self.width + self.exponent / self.block

    def stored_bits(self, shape: tuple[int, ...]) -> int:
        return prod(shape) * self.width + blocks_of(shape, self.block, self.axis) * self.exponent

    @property
    def grid(self) -> None:
        return None

    @property
    def text(self) -> str:
        return BLOCK_FLOAT.text(self)


@dataclass(frozen=True, slots=True)
class Mx:
    """Small floats, or eighths of a byte, times a power of two for each block along ``axis``.

    The power is 2**floor(log2(m)) over that of the element's largest number, for the block's largest
    magnitude m; what then is too large saturates (OCP Microscaling Formats 1.0, section 6.3).
    """

    element: Annotated[str, Word("element", tuple(ELEMENT_BITS))]
    block: Annotated[int, BLOCKS] = 32
    axis: Annotated[int, AXES] = -1

    def __post_init__(self) -> None:
        MX.check(self)

    @property
    def needs_all_samples(self) -> bool:
        return self.axis == 0

    @property
    def bits(self) -> float:
        """With the share of the block's scale."""
        return ELEMENT_BITS[self.element] + MX_SCALE_BITS / self.block

    def stored_bits(self, shape: tuple[int, ...]) -> int:
        numbers = prod(shape) * ELEMENT_BITS[self.element]
        return numbers + blocks_of(shape, self.block, self.axis) * MX_SCALE_BITS

    @property
    def grid(self) -> None:
        return None

    @property
    def text(self) -> str:
        return MX.text(self)


def blocks_of(shape: tuple[int, ...], block: int, axis: int) -> int:
    """How many blocks a tensor has; the last along the axis may not be full."""
    if not shape:
        return 1
    along = shape[axis if -len(shape) <= axis < len(shape) else -1]
    return prod(shape) // max(1, along) * ceil(along / block)


def axis_in(number_format: BlockFloat | Mx, dimensions: int) -> int:
    """The axis of the blocks in a tensor; the last where it has no such axis.

    Raises:
        SettingsError: the tensor has no dimensions.
    """
    if dimensions == 0:
        raise SettingsError(f"{number_format.text}: a single number is no block")
    return number_format.axis if -dimensions <= number_format.axis < dimensions else -1


BLOCK_FLOAT = Family(
    BlockFloat,
    names={"block_fp": {}},
    examples={"block_fp(6,block=16)": "16 numbers share an exponent of 8 bits; 6 bits for each"},
)
MX = Family(
    Mx,
    names={
        "mx": {},
        "mxfp8": {"element": "e4m3fn", "block": 32},
        "mxfp8_e5m2": {"element": "e5m2", "block": 32},
        "mxfp6": {"element": "e3m2", "block": 32},
        "mxfp6_e2m3": {"element": "e2m3", "block": 32},
        "mxfp4": {"element": "e2m1", "block": 32},
        "mxint8": {"element": "int8", "block": 32},
    },
    examples={
        "mxfp8": "FP8 (E4M3) of OCP: 32 numbers share a power of two",
        "mxfp8_e5m2": "the same with E5M2",
        "mxfp6": "FP6 (E3M2) of OCP",
        "mxfp6_e2m3": "the same with E2M3",
        "mxfp4": "FP4 (E2M1) of OCP",
        "mxint8": "from -127 to 127 in 64ths",
        "mxfp4(axis=1)": "blocks along the second axis: the channels of images",
        "mx(e2m1,block=16)": "16 numbers share a power of two",
    },
)
