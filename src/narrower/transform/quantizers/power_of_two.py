"""How powers of two round: to the nearest exponent."""

from math import sqrt

import torch
from torch import Tensor

from narrower.plan.formats.power_of_two import PowerOfTwo

BETWEEN = sqrt(0.5)  # the middle of 1/2 and 1 by their logarithms; no float32 number lies on it


class PowerOfTwoQuantizer:
    """Numbers too large saturate, NaN stays NaN. The gradient passes where nothing saturates."""

    def round(self, x: Tensor, number_format: PowerOfTwo) -> Tensor:
        mantissa, exponent = torch.frexp(torch.where(x.isinf(), torch.finfo(x.dtype).max, x.abs()))
        nearest = torch.where(mantissa > BETWEEN, exponent, exponent - 1)
        nearest = torch.where(mantissa == 0, number_format.least, nearest)
        powers = torch.ldexp(torch.ones_like(x), nearest.clamp_(number_format.least, number_format.most))
        signed = torch.where(x < 0, -powers, powers)
        if number_format.has_zero:
            signed = torch.where(x.abs() <= 2.0 ** (number_format.least - 1), 0.0, signed)
        return torch.where(x.isnan(), x, signed)

    def round_to_steps(self, x: Tensor, number_format: PowerOfTwo, out: Tensor) -> None:
        torch.mul(self.round(x, number_format), 2.0**-number_format.least, out=out)

    def passes_gradient(self, x: Tensor, number_format: PowerOfTwo) -> Tensor:
        return x.abs() <= 2.0**number_format.most
