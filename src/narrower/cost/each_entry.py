"""Bits of a tensor each of whose entries has a width of its own."""

from collections import Counter
from math import prod

import numpy as np

from narrower.plan.formats.fixed_each import FixedEach
from narrower.plan.formats.number_format import NumberFormat


def width_pairs(data: NumberFormat, weight: NumberFormat) -> dict[tuple[int, int], int] | None:
    """How many weights have which widths of data and of the weight; None where all have the same.

    The data's widths have the shape of the last axes of the weight's: those of its inputs.
    """
    if not (isinstance(data, FixedEach) and isinstance(weight, FixedEach)):
        return None
    data_widths, weight_widths = np.broadcast_arrays(data.widths, weight.widths)
    pairs = zip(data_widths.ravel().tolist(), weight_widths.ravel().tolist(), strict=True)
    return dict(Counter(pairs))


def pair_bitops(pairs: dict[tuple[int, int], int], macs: int) -> int:
    """Bit operations of so many multiply-accumulates, as many for each weight."""
    times = macs // sum(pairs.values())
    return sum(prod(pair) * count for pair, count in pairs.items()) * times
