"""Whole numbers in as many bits as their format has, side by side without gaps."""

import numpy as np
from numpy.typing import NDArray


def pack(values: NDArray[np.int64], width: int) -> NDArray[np.uint8]:
    """Pack numbers as two's complement of ``width`` bits each, the highest bit first."""
    shifts = np.arange(width - 1, -1, -1)
    bits = (values.reshape(-1, 1) >> shifts) & 1
    return np.packbits(bits.astype(np.uint8).reshape(-1))


def unpack(packed: NDArray[np.uint8], width: int, count: int, *, signed: bool) -> NDArray[np.int64]:
    """Undo ``pack`` for ``count`` numbers."""
    bits = np.unpackbits(packed)[: count * width].reshape(count, width).astype(np.int64)
    values: NDArray[np.int64] = (bits << np.arange(width - 1, -1, -1)).sum(axis=1)
    return values - ((values >> (width - 1)) << width) if signed else values
