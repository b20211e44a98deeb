"""How small floating point rounds: to the nearest number, ties to the one with an even mantissa."""

import torch
from torch import Tensor

from narrower.plan.formats.minifloat import Minifloat


class MinifloatQuantizer:
    """Numbers too large saturate, NaN stays NaN. The gradient passes where nothing saturates."""

    def round(self, x: Tensor, number_format: Minifloat) -> Tensor:
        clamped = x.clamp(-number_format.largest, number_format.largest)
        step = _steps(clamped, number_format)
        return clamped.div_(step).round_().mul_(step)

    def round_to_steps(self, x: Tensor, number_format: Minifloat, out: Tensor) -> None:
        grid = number_format.grid
        assert grid is not None
        torch.mul(self.round(x, number_format), 2.0**grid.frac, out=out)

    def passes_gradient(self, x: Tensor, number_format: Minifloat) -> Tensor:
        return x.abs() <= number_format.largest


def _steps(x: Tensor, number_format: Minifloat) -> Tensor:
    """The distance of neighbouring numbers around each of ``x``, a power of two."""
    exponents = torch.frexp(x).exponent - 1
    least, mantissa = number_format.least_exponent, number_format.mantissa
    if number_format.subnormals:
        exponents = exponents.clamp_(min=least) - mantissa
    else:
        exponents = torch.where(exponents < least, least, exponents - mantissa)
    return torch.ldexp(torch.ones_like(x), exponents)
