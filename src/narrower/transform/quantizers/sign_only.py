"""How binary and ternary numbers round, and which scales follow from a tensor."""

import torch
from torch import Tensor

from narrower.plan.formats.affine import SIGNIFICANT
from narrower.plan.formats.sign_only import OWN, TERNARY_SHARE, Binary, Ternary
from narrower.transform.quantizers.parts import from_rows, rows_of

PASSES = 1.5  # times a scale that is given


class BinaryQuantizer:
    """NaN stays NaN. The gradient passes up to 1.5 times a scale that is given, and else everywhere."""

    def round(self, x: Tensor, number_format: Binary) -> Tensor:
        rows = rows_of(x, number_format.per, number_format.axis)
        scale = _mean(rows.abs(), rows.isfinite()) if number_format.scale == OWN else number_format.scale
        signs = torch.where(rows >= 0, 1.0, -1.0).to(x.dtype)
        rounded = torch.where(rows.isnan(), rows, signs * scale)
        return from_rows(rounded, x, number_format.per, number_format.axis)

    def round_to_steps(self, x: Tensor, number_format: Binary, out: Tensor) -> None:
        torch.div(self.round(x, number_format), number_format.scale, out=out)

    def passes_gradient(self, x: Tensor, number_format: Binary) -> Tensor:
        return _passes(x, number_format.scale)


class TernaryQuantizer:
    """NaN stays NaN. The gradient passes up to 1.5 times a scale that is given, and else everywhere."""

    def round(self, x: Tensor, number_format: Ternary) -> Tensor:
        rows = rows_of(x, number_format.per, number_format.axis)
        sizes, finite = rows.abs(), rows.isfinite()
        threshold: Tensor | float = number_format.threshold
        if threshold == OWN:
            threshold = TERNARY_SHARE * _mean(sizes, finite, exactly=True).to(x.dtype)
        is_large = sizes > threshold
        scale = _mean(sizes, finite & is_large) if number_format.scale == OWN else number_format.scale
        rounded = torch.where(is_large, rows.sign() * scale, 0.0).to(x.dtype)
        rounded = torch.where(rows.isnan(), rows, rounded)
        return from_rows(rounded, x, number_format.per, number_format.axis)

    def round_to_steps(self, x: Tensor, number_format: Ternary, out: Tensor) -> None:
        torch.div(self.round(x, number_format), number_format.scale, out=out)

    def passes_gradient(self, x: Tensor, number_format: Ternary) -> Tensor:
        return _passes(x, number_format.scale)


def _passes(x: Tensor, scale: float) -> Tensor:
    return torch.ones_like(x, dtype=torch.bool) if scale == OWN else x.abs() <= PASSES * scale


def _mean(sizes: Tensor, counted: Tensor, *, exactly: bool = False) -> Tensor:
    """The mean [parts, 1] of what is counted, to 16 significant bits; 0 of nothing.

    The sum is in double precision, so that the mean of equal numbers is that number.
    """
    total = torch.where(counted, sizes, 0).double().sum(1, keepdim=True)
    mean = total / counted.sum(1, keepdim=True).clamp_(min=1)
    if exactly:
        return mean
    mantissa, exponent = torch.frexp(mean)
    return torch.ldexp((mantissa * 2.0**SIGNIFICANT).round_(), exponent - SIGNIFICANT).to(sizes.dtype)
