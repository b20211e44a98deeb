"""Samples split at random into training, validation and test parts, and standardised by the first."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrower.data.prepared import Scaling

TEST_SHARE = 0.20
VALIDATION_SHARE = 0.16

Indices = NDArray[np.int64]
Floats = NDArray[np.float64]


def split_indices(count: int, seed: int) -> tuple[Indices, Indices, Indices]:
    """Cut ``range(count)`` at random into training (64 %), validation (16 %) and test (20 %)."""
    # Raw output of a bit generator is the only NumPy stream that is promised never to change.
    order = np.argsort(np.random.PCG64(seed).random_raw(count), kind="stable")
    test, validation = round(count * TEST_SHARE), round(count * VALIDATION_SHARE)
    train = count - validation - test
    return order[:train], order[train : train + validation], order[train + validation :]


def split_in_two(count: int, seed: int) -> tuple[Indices, Indices]:
    """Cut ``range(count)`` at random where the test part is given: training (80 %) and validation (20 %)."""
    order = np.argsort(np.random.PCG64(seed).random_raw(count), kind="stable")
    train = count - round(count * VALIDATION_SHARE / (1 - TEST_SHARE))
    return order[:train], order[train:]


def moments(inputs: NDArray[np.generic]) -> tuple[Floats, Floats]:
    """Mean and deviation of each feature of [N, F], or of each channel of [N, C, ...], ready to broadcast.

    The deviation of a constant is 1, so that it becomes zero.
    """
    values = np.asarray(inputs, dtype=np.float64)
    axes = (0, *range(2, values.ndim))
    mean = values.mean(axis=axes, keepdims=True)[0]
    deviation = values.std(axis=axes, keepdims=True)[0]
    # A constant such as 0.1 has a deviation of about 1e-17, not zero: compare the values themselves.
    constant = (values.max(axis=axes, keepdims=True) == values.min(axis=axes, keepdims=True))[0]
    # Sums differ in their last bits from machine to machine; float32 drops those bits.
    return _rounded(mean), np.where(constant, 1.0, _rounded(deviation))


def standardise(inputs: NDArray[np.generic], mean: Floats, deviation: Floats) -> NDArray[np.float32]:
    """Subtract and divide in double precision, so that large offsets cost no digits."""
    return ((np.asarray(inputs, dtype=np.float64) - mean) / deviation).astype(np.float32)


def standardised(
    parts: Sequence[NDArray[Any]], wished: str | None = None
) -> tuple[list[NDArray[Any]], Scaling | None]:
    """The parts of a data set, standardised by the first unless ``wished`` is "no", and by what.

    Whole numbers, as of tokens, stay what they are.
    """
    if np.issubdtype(parts[0].dtype, np.integer):
        return list(parts), None
    if wished == "no":
        return [part.astype(np.float32) for part in parts], None
    mean, deviation = moments(parts[0])
    return [standardise(part, mean, deviation) for part in parts], Scaling.of(mean, deviation)


def _rounded(values: Floats) -> Floats:
    return values.astype(np.float32).astype(np.float64)
