"""How fixed point rounds: to the nearest step, ties to the even one, and to the ends of the range."""

import torch
from torch import Tensor

from narrower.formats.fixed import FixedPoint


class FixedQuantizer:
    """Values outside the range saturate, NaN stays NaN; the gradient passes inside the range."""

    def round(self, x: Tensor, number_format: FixedPoint) -> Tensor:
        low, high = number_format.integer_range
        return x.mul(2.0**number_format.frac).round_().clamp_(low, high).mul_(number_format.step)

    def round_to_steps(self, x: Tensor, number_format: FixedPoint, out: Tensor) -> None:
        torch.mul(x, 2.0**number_format.frac, out=out)
        out.round_().clamp_(*number_format.integer_range)

    def passes_gradient(self, x: Tensor, number_format: FixedPoint) -> Tensor:
        low, high = number_format.integer_range
        scaled = x * 2.0**number_format.frac
        return (scaled >= low - 0.5) & (scaled <= high + 0.5)
