"""Packing numbers into bits, and back."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from narrower.export.bit_packing import pack, unpack


def test_three_bit_numbers_by_hand() -> None:
    # 1 -> 001, -2 -> 110, 3 -> 011: 00111001|1, filled up with zeros
    packed = pack(np.array([1, -2, 3]), 3)
    assert packed.tolist() == [0b00111001, 0b10000000]
    assert unpack(packed, 3, 3, signed=True).tolist() == [1, -2, 3]


@given(st.data(), st.integers(1, 32), st.booleans())
def test_what_is_packed_comes_back(data: st.DataObject, width: int, signed: bool) -> None:
    low, high = (-(2 ** (width - 1)), 2 ** (width - 1) - 1) if signed else (0, 2**width - 1)
    values = np.array(data.draw(st.lists(st.integers(low, high), max_size=40)), dtype=np.int64)
    packed = pack(values, width)
    assert packed.nbytes == -(-len(values) * width // 8)
    assert unpack(packed, width, len(values), signed=signed).tolist() == values.tolist()
