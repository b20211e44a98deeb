"""Grey pictures with more than 256 levels, brought to 256."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrower.errors import DataError

DEEP = ("I", "I;16", "I;16L", "I;16B", "I;16N", "F")  # modes of Pillow
BYTE, MOST = 8, 16  # bits


def in_eight_bits(files: Sequence[Path], pictures: Sequence[Any]) -> tuple[list[Any], list[str]]:
    """Pictures of Pillow's with 256 levels, and what is said of those that had more.

    Of the bits that the largest level of all of them needs, the upper 8 are kept.

    Raises:
        DataError: a picture has levels below zero, above 65,535, or real numbers.
    """
    from PIL import Image

    deep = {
        number: _levels(files[number], picture)
        for number, picture in enumerate(pictures)
        if picture.mode in DEEP
    }
    largest = max((int(levels.max()) for levels in deep.values()), default=0)
    shift = max(largest.bit_length() - BYTE, 0)
    found = [
        Image.fromarray((deep[number] >> shift).astype(np.uint8)) if number in deep else picture
        for number, picture in enumerate(pictures)
    ]
    if not shift:
        return found, []
    return found, [
        f"{len(deep):,} pictures have levels up to {largest:,}: the upper {BYTE} of {BYTE + shift} bits are "
        f"read, so that level {1 << shift:,} is 1"
    ]


def _levels(file: Path, picture: Any) -> NDArray[np.int64]:
    values = np.asarray(picture)
    levels: NDArray[np.int64] = values.astype(np.int64)
    if (levels != values).any() or levels.min() < 0 or levels.max() >= 1 << MOST:
        raise DataError(
            f"{file}: its pixels lie from {values.min():g} to {values.max():g}; read are whole numbers of up "
            f"to {MOST} bits. An NPZ file takes other numbers"
        )
    return levels
