"""How weights lie in flash: in bytes, or in the form that takes the fewest bits."""

from dataclasses import dataclass
from math import ceil
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from narrower.export.device.numbers import SIZES

Integers = NDArray[np.int64]
Pack = Literal["size", "speed"]
PACKS: tuple[Pack, ...] = ("size", "speed")
BOOK_BYTES = 4  # of a number in a book
MOST_IN_BOOK = 256


@dataclass(frozen=True, eq=False)
class Packed:
    """Codes of ``bits`` bits side by side, the lowest bit first.

    A code is ``weight - low``, or with a ``book`` the place of the weight in it. With a ``mask``, one bit for
    each weight, those that are zero have no code.
    """

    codes: NDArray[np.uint8]
    bits: int
    low: int
    book: Integers | None = None
    mask: NDArray[np.uint8] | None = None

    @property
    def size(self) -> int:
        """Bytes."""
        extra = 0 if self.mask is None else self.mask.size
        return self.codes.size + extra + (0 if self.book is None else self.book.size * BOOK_BYTES)


def byte_type(values: Integers) -> str:
    """The narrowest type that holds weights as they are."""
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    return next(
        kind for kind in ("int8_t", "int16_t", "int32_t")
        if -(2 ** (8 * SIZES[kind] - 1)) <= low and high < 2 ** (8 * SIZES[kind] - 1)
    )  # fmt: skip


def smallest(values: Integers) -> Packed:
    """The form of weights, in the order in which they are read, that takes the fewest bytes."""
    flat = values.reshape(-1)
    forms = [_coded(flat, None), _coded(flat, np.unique(flat))]
    kept = flat[flat != 0]
    if len(kept) < len(flat):
        mask = np.packbits(flat != 0, bitorder="little")
        forms += [_coded(kept, None, mask), _coded(kept, np.unique(kept), mask)]
    return min((form for form in forms if form is not None), key=lambda form: form.size)


def _coded(flat: Integers, book: Integers | None, mask: NDArray[np.uint8] | None = None) -> Packed | None:
    if book is not None and not 0 < len(book) <= MOST_IN_BOOK:
        return None
    low = int(flat.min(initial=0)) if len(flat) else 0
    codes = flat - low if book is None else np.searchsorted(book, flat)
    bits = int(codes.max(initial=0)).bit_length()
    shifts = np.arange(bits)
    spread = ((codes[:, None] >> shifts) & 1).astype(np.uint8).reshape(-1)
    packed = np.packbits(spread, bitorder="little") if bits else np.zeros(0, np.uint8)
    held = packed if len(packed) else np.zeros(1, np.uint8)  # C has no empty arrays
    return Packed(held, bits, low, book, mask)


def packed_bytes(count: int, bits: int) -> int:
    """Bytes of so many codes."""
    return max(1, ceil(count * bits / 8))
