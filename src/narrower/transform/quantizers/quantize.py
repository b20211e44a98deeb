"""Round a tensor into a number format."""

from typing import Any

import torch
from torch import Tensor

from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.formats.float32 import Float32
from narrower.plan.formats.number_format import NumberFormat
from narrower.transform.quantizers.catalogue import QUANTIZERS
from narrower.transform.quantizers.fixed import FixedQuantizer

_FIXED = FixedQuantizer()


def quantize(x: Tensor, number_format: NumberFormat) -> Tensor:
    """Return the value of the format for each element, as its family rounds; ``x`` itself for float32.

    There is no gradient; ``quantize_straight_through`` has one.
    """
    if isinstance(number_format, Float32):
        return x
    return QUANTIZERS[type(number_format)].round(x, number_format)


def quantize_owned(x: Tensor, number_format: NumberFormat) -> Tensor:
    """``quantize`` of a tensor that nothing else reads, and whose memory may be written over."""
    if isinstance(number_format, FixedPoint):
        return _FIXED.round_in_place(x, number_format)
    return quantize(x, number_format)


def quantize_to_steps(x: Tensor, number_format: NumberFormat, out: Tensor) -> None:
    """Write the values of ``quantize`` into ``out``, in steps of the format's grid."""
    QUANTIZERS[type(number_format)].round_to_steps(x, number_format, out)


def quantize_straight_through(x: Tensor, number_format: NumberFormat) -> Tensor:
    """``quantize`` with a gradient of 1 or 0: by the family, and 0 where it saturates."""
    if isinstance(number_format, Float32):
        return x
    quantized: Tensor = _StraightThrough.apply(x, number_format)  # type: ignore[no-untyped-call]
    return quantized


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, number_format: NumberFormat) -> Tensor:
        if not ctx.needs_input_grad[0]:
            return quantize(x, number_format)
        if isinstance(number_format, FixedPoint) and number_format.overflow != "wrap":
            rounded, inside = _FIXED.round_and_mask(x, number_format)
        else:
            rounded = quantize(x, number_format)
            inside = QUANTIZERS[type(number_format)].passes_gradient(x, number_format)
        ctx.save_for_backward(inside)
        return rounded

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (inside,) = ctx.saved_tensors
        return gradients[0] * inside, None
