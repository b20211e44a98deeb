"""Round a tensor into a number format."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from narrower.formats.fixed import FixedPoint
from narrower.formats.float32 import Float32
from narrower.formats.number_format import NumberFormat


def quantize(x: Tensor, number_format: NumberFormat) -> Tensor:
    """Return the nearest value of the format for each element; ``x`` itself for float32.

    Fixed point: ties go to the even integer, and values outside the range saturate. NaN stays NaN. There is
    no gradient; ``quantize_straight_through`` has one.
    """
    return x if isinstance(number_format, Float32) else QUANTIZERS[type(number_format)](x, number_format)


def quantize_straight_through(x: Tensor, number_format: NumberFormat) -> Tensor:
    """``quantize`` with gradient 1 inside the range of the format and 0 where it saturates."""
    if isinstance(number_format, Float32):
        return x
    quantized: Tensor = _StraightThrough.apply(x, number_format)  # type: ignore[no-untyped-call]
    return quantized


def _fixed(x: Tensor, number_format: FixedPoint) -> Tensor:
    low, high = number_format.integer_range
    return x.mul(2.0**number_format.frac).round_().clamp_(low, high).mul_(number_format.step)


QUANTIZERS: dict[type, Callable[[Tensor, Any], Tensor]] = {FixedPoint: _fixed}


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, number_format: FixedPoint) -> Tensor:
        low, high = number_format.integer_range
        scaled = x * 2.0**number_format.frac
        ctx.save_for_backward((scaled >= low - 0.5) & (scaled <= high + 0.5))
        return quantize(x, number_format)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (inside,) = ctx.saved_tensors
        return gradients[0] * inside, None
