"""Where a function with few values changes, over all float32 numbers: a table instead of the function."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Integers = NDArray[np.int64]
LARGEST_KEY = 0x7F7FFFFF  # of the largest float32 number
MOST_VALUES = 2**12


@dataclass(frozen=True, eq=False)
class Thresholds:
    """The value is ``values[i]`` where i of ``keys`` are at most the key of the argument.

    The key of a float32 number is a whole number that grows with it: its bits, negated for negative numbers.
    """

    keys: Integers
    values: Integers


def thresholds(
    function: Callable[[Tensor], Tensor], frac: int, turns: Sequence[float] = ()
) -> Thresholds | None:
    """The table of a function of float32 numbers that turns back at ``turns`` alone, with values on a grid.

    None where it has more than 4,096 values or none at some number. That it turns nowhere else is taken on
    trust between two points at which it is equal.
    """
    ends = np.array([-LARGEST_KEY, *(_key(turn) for turn in sorted(turns)), LARGEST_KEY])
    at_ends = _whole(function, ends, frac)
    if at_ends is None:
        return None
    low, high, at_low, at_high = ends[:-1], ends[1:], at_ends[:-1], at_ends[1:]
    keys, values = [], [at_ends[:1]]
    while len(low):
        open_ones = at_low != at_high
        low, high, at_low, at_high = (a[open_ones] for a in (low, high, at_low, at_high))
        close = high - low == 1
        keys.append(high[close])
        values.append(at_high[close])
        low, high, at_low, at_high = (a[~close] for a in (low, high, at_low, at_high))
        if len(low) > MOST_VALUES:
            return None
        if not len(low):
            break
        middle = (low + high) // 2
        at_middle = _whole(function, middle, frac)
        if at_middle is None:
            return None
        low, high = np.concatenate([low, middle]), np.concatenate([middle, high])
        at_low, at_high = np.concatenate([at_low, at_middle]), np.concatenate([at_middle, at_high])
    found = np.concatenate(keys) if keys else np.zeros(0, np.int64)
    order = np.argsort(found)
    return Thresholds(found[order], np.concatenate([values[0], np.concatenate(values[1:] or [found])[order]]))


def _key(number: float) -> int:
    bits = int(np.float32(abs(number)).view(np.uint32))
    return -bits if number < 0 else bits


def _whole(function: Callable[[Tensor], Tensor], keys: Integers, frac: int) -> Integers | None:
    bits = np.where(keys < 0, -keys | 0x80000000, keys).astype(np.uint32)
    with torch.inference_mode():
        found = function(torch.from_numpy(bits.view(np.float32).copy())).double().numpy()
    return None if not np.isfinite(found).all() else np.ldexp(found, frac).round().astype(np.int64)
