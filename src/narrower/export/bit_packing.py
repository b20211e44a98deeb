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


def pack_sparse(values: NDArray[np.int64], width: int) -> NDArray[np.uint8]:
    """A bit for each number, 1 where it is not zero, and then those numbers as ``pack`` writes them."""
    flat = values.reshape(-1)
    return np.concatenate([np.packbits(flat != 0), pack(flat[flat != 0], width)])


def unpack_sparse(packed: NDArray[np.uint8], width: int, count: int, *, signed: bool) -> NDArray[np.int64]:
    """Undo ``pack_sparse`` for ``count`` numbers."""
    is_kept = np.unpackbits(packed)[:count].astype(bool)
    values = np.zeros(count, dtype=np.int64)
    rest = packed[-(-count // 8) :]
    values[is_kept] = unpack(rest, width, int(is_kept.sum()), signed=signed)
    return values
