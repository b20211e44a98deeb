"""Which products of 8-bit operands can pass 16 bits where a processor adds two of them first.

ONNX Runtime multiplies unsigned bytes (signed ones plus 128) with signed ones. x86 processors without VNNI
add the products in pairs, in 16 bits, and cut off what passes them. Which two products meet depends on the
kernel, so that any two of one output count. Products of two unsigned operands are added in 32 bits.
"""

import numpy as np
from numpy.typing import NDArray

from narrower.evaluate.processor import SWITCH, saturates_pairs
from narrower.export.integers import BYTE, byte_range
from narrower.plan.formats.grid import Grid

PAIR_LIMIT = 2**15 - 1
PAIR = 2


def pairs_saturate(
    first: Grid | None,
    second: Grid | None,
    integers: NDArray[np.int64] | None = None,
    *,
    positive: bool = False,
) -> bool:
    """Whether two products of one output of ``first @ second`` can pass 16 bits in a kernel for bytes.

    ``integers`` [O, K] are the second operand's whole numbers where they are known. ``positive``: the first
    is stored without adding 128, because it is never below zero.
    """
    if first is None or second is None or max(first.width, second.width) > BYTE or not second.signed:
        return False  # no kernel for bytes, or none that adds in 16 bits
    if integers is None:
        integers = np.array([[*second.limits] * PAIR])
    count = integers.shape[1]
    ordered = np.partition(integers, (min(1, count - 1), max(count - PAIR, 0)), axis=1)
    lowest = ordered[:, :PAIR].clip(max=0).sum(axis=1).min(initial=0)
    highest = ordered[:, -PAIR:].clip(min=0).sum(axis=1).max(initial=0)
    largest = byte_range(first, positive=positive)[1]
    return largest * int(max(-lowest, highest)) > PAIR_LIMIT


def note(matrices: tuple[str, ...], convolutions: tuple[str, ...]) -> tuple[str, ...]:
    """What to say of layers whose pairs of products can saturate."""
    cause = "pairs of their 8-bit products can pass 16 bits"
    found = []
    if convolutions:
        found.append(
            f"in float32 on every processor, because {cause}, which saturates on x86 processors without "
            f"VNNI: {', '.join(convolutions)}"
        )
    if matrices and saturates_pairs():
        found.append(f"in float32 for processors without VNNI, where {cause}: {', '.join(matrices)}")
    elif matrices:
        found.append(
            f"not for x86 processors without VNNI ({SWITCH}=off writes these layers in float32), where "
            f"{cause}: {', '.join(matrices)}"
        )
    return tuple(found)
