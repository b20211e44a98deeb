"""Bits of a tensor each of whose entries has a width of its own."""

from collections import Counter
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from narrower.graph.network import Operator
from narrower.plan.formats.fixed_each import FixedEach
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.formats.number_format import NumberFormat

WidthPair = tuple[float | None, float | None]  # of data and weight; None: float32


def width_pairs(
    operator: Operator, weight_shape: tuple[int, ...], data: NumberFormat, weight: NumberFormat
) -> Mapping[WidthPair, int] | None:
    """How many weights of a product have which widths of data and weight; None where all have the same.

    The data's widths are one for all, or one for each entry of the axis that the product sums over.
    """
    if not (isinstance(data, FixedEach) or isinstance(weight, FixedEach)):
        return None
    read = beside_weights(operator, _widths(data), weight_shape)
    data_widths, weight_widths, _ = np.broadcast_arrays(
        read, _widths(weight), np.empty(weight_shape, np.int8)
    )
    counted = Counter(zip(data_widths.ravel().tolist(), weight_widths.ravel().tolist(), strict=True))
    return {
        (None if data == FLOAT32 else pair[0], None if weight == FLOAT32 else pair[1]): count
        for pair, count in counted.items()
    }


def beside_weights(
    operator: Operator, of_data: NDArray[np.generic], weight_shape: tuple[int, ...]
) -> NDArray[np.generic]:
    """What each weight's data have, in a shape that goes with the weight's: one number, or one by input."""
    if of_data.size == 1:
        return of_data.reshape(())
    kernel = (1,) * (len(weight_shape) - 2)
    if operator.kind.startswith("conv_transpose"):
        return of_data.reshape(-1, 1, *kernel)
    if operator.kind.startswith("conv"):
        given = operator.attribute("groups")
        groups = given if isinstance(given, int) else 1
        by_group = of_data.reshape(groups, -1)
        times = weight_shape[0] // groups if groups > 1 else 1
        return np.repeat(by_group, times, axis=0).reshape(-1, by_group.shape[1], *kernel)
    return of_data.reshape(-1, 1) if operator.kind == "matmul" else of_data.reshape(-1)


def _widths(number_format: NumberFormat) -> NDArray[np.generic]:
    return number_format.widths if isinstance(number_format, FixedEach) else np.array(number_format.bits)
