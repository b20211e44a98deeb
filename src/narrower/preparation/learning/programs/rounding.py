"""Rounding whose widths are learned, with gradients: of coefficients, and of data.

Both round half up, and gradients pass straight through (Sun et al., arXiv 2405.00645, eq. 10). Widths and
fractions are in tensors that broadcast to what is rounded, so that entries can share them.
"""

from math import log
from typing import Any

import torch
from torch import Tensor

LN2 = log(2.0)


def rounded_coefficients(values: Tensor, bits: Tensor, integer_bits: Tensor) -> Tensor:
    """``clamp(x * 2**f, -m, m) / 2**f``, rounded, with ``f = bits - integer bits`` and ``m = 2**bits - 1``.

    Both kinds of bits are whole numbers (``whole``); bits count no sign, and zero bits leave zero.
    """
    rounded: Tensor = _Coefficients.apply(values, bits, integer_bits)  # type: ignore[no-untyped-call]
    return rounded


def rounded_data(values: Tensor, fractions: Tensor) -> Tensor:
    """``floor(x * 2**f + 1/2) / 2**f``; fractions are whole numbers."""
    rounded: Tensor = _Data.apply(values, fractions)  # type: ignore[no-untyped-call]
    return rounded


def whole(bits: Tensor, allowed: Tensor | None = None) -> Tensor:
    """The nearest whole numbers, or the nearest of a sorted list; the gradient passes straight through."""
    with torch.no_grad():
        if allowed is None:
            nearest = bits.round()
        else:
            nearest = allowed[torch.bucketize(bits, (allowed[1:] + allowed[:-1]) / 2)]
    return bits + (nearest - bits).detach()


class _Coefficients(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, bits: Tensor, integer_bits: Tensor) -> Tensor:
        scale = torch.exp2(bits - integer_bits)
        limit = torch.exp2(bits) - 1
        scaled = values * scale
        clipped = torch.minimum(torch.maximum(scaled, -limit), limit)
        steps = torch.floor(clipped + 0.5)
        ctx.save_for_backward(scaled, clipped, steps, scale)
        return steps / scale

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        scaled, clipped, steps, scale = ctx.saved_tensors
        (by_rounded,) = gradients
        side = torch.sign(scaled - clipped)
        outside, rest = side.abs(), clipped - steps
        by_steps = by_rounded * (LN2 / scale)
        by_bits = (by_steps * (rest + side)).sum_to_size(scale.shape)
        by_integer_bits = (by_steps * (steps * outside - rest)).sum_to_size(scale.shape)
        return by_rounded * (1 - outside), by_bits, by_integer_bits


class _Data(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, fractions: Tensor) -> Tensor:
        scale = torch.exp2(fractions)
        rounded = torch.floor(values * scale + 0.5) / scale
        ctx.save_for_backward(values - rounded, fractions)
        return rounded

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        rest, fractions = ctx.saved_tensors
        return gradients[0], LN2 * (gradients[0] * rest).sum_to_size(fractions.shape)
