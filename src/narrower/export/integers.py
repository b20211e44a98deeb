"""Rounded tensors as integers, and the types that hold them in ONNX."""

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import TensorProto
from torch import Tensor

from narrower.plan.formats.grid import Grid
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.plan import LayerPlan
from narrower.transform.quantizers.quantize import quantize

# Container by whether it is signed: (bits it has, ONNX type), the narrowest first.
CONTAINERS: dict[bool, tuple[tuple[int, int], ...]] = {
    True: ((4, TensorProto.INT4), (8, TensorProto.INT8), (16, TensorProto.INT16)),
    False: ((4, TensorProto.UINT4), (8, TensorProto.UINT8), (16, TensorProto.UINT16)),
}
INT32_LIMIT = 2**31
BYTE = 8
BYTE_LIMITS = (0, 255)


def whole_numbers(values: Tensor, number_format: NumberFormat) -> NDArray[np.int64]:
    """The integers that stand for rounded values, in steps of the format's grid, which it must have."""
    grid = number_format.grid
    assert grid is not None
    scaled = quantize(values.detach().float(), number_format).double() * 2.0**grid.frac
    return np.asarray(scaled.round().to(torch.int64).numpy())


def byte_range(grid: Grid, *, positive: bool) -> tuple[int, int, int]:
    """Smallest and largest byte that stand for a grid's values, and the byte that stands for zero."""
    zero = 128 if grid.signed and not positive else 0
    return max(grid.low + zero, 0), grid.high + zero, zero


def product_fraction(layer: LayerPlan) -> int | None:
    """Fraction bits of a layer's exact products; None where an operand is on no grid."""
    data, weight = layer.data.grid, layer.weight.grid
    return None if data is None or weight is None else data.frac + weight.frac


def container(grid: Grid, smallest: int) -> tuple[int, int] | None:
    """The narrowest type of at least so many bits that holds a grid's integers; None: there is none."""
    fitting = (
        (bits, data_type) for bits, data_type in CONTAINERS[grid.signed] if bits >= max(smallest, grid.width)
    )
    return next(fitting, None)


def container_limits(bits: int, *, signed: bool) -> tuple[int, int]:
    """Smallest and largest integer of a type."""
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
