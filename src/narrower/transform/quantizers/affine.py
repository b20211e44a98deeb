"""How affine integers round: times the reciprocal of the scale, to the nearest integer, ties to even."""

import torch
from torch import Tensor

from narrower.errors import SettingsError
from narrower.plan.formats.affine import HOLDS_ALL, SIGNIFICANT, Affine
from narrower.transform.quantizers.parts import from_rows, rows_of

NUDGES = 4
SHRUNK = tuple(share / 20 for share in range(19, 5, -1))  # of the range, where some may saturate


class AffineQuantizer:
    """As torch.fake_quantize does it; NaN stays NaN, and gives its part no scale.

    The gradient passes where nothing saturates.
    """

    def round(self, x: Tensor, number_format: Affine) -> Tensor:
        scaled, scale, low, high = _scaled(x, number_format)
        rounded = scaled.round_().clamp_(low, high).mul_(scale)
        return from_rows(rounded, x, number_format.per, number_format.axis)

    def round_to_steps(self, x: Tensor, number_format: Affine, out: Tensor) -> None:
        scaled, _, low, high = _scaled(x, number_format)
        out.copy_(scaled.round_().clamp_(low, high).reshape(x.shape))

    def passes_gradient(self, x: Tensor, number_format: Affine) -> Tensor:
        scaled, _, low, high = _scaled(x, number_format)
        passes = (scaled >= low - 0.5) & (scaled <= high + 0.5)
        return from_rows(passes, x, number_format.per, number_format.axis)


def integers_and_scales(x: Tensor, number_format: Affine) -> tuple[Tensor, Tensor]:
    """The integers, less the zero point, that stand for the rounded values, and the scale of each part."""
    scaled, scale, low, high = _scaled(x, number_format)
    integers = from_rows(scaled.round_().clamp_(low, high), x, number_format.per, number_format.axis)
    return integers, scale.flatten()


def each_in_steps(x: Tensor, number_format: Affine) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of each number: itself in units of its scale, the scale, and the ends of the range, in its shape."""
    scaled, scale, low, high = _scaled(x, number_format)
    parts = (scaled, *(torch.as_tensor(end).expand_as(scaled) for end in (scale, low, high)))
    own, scales, lows, highs = (from_rows(part, x, number_format.per, number_format.axis) for part in parts)
    return own, scales, lows, highs


def _scaled(x: Tensor, number_format: Affine) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The parts in units of their scales, the scales, and the ends of the range without the zero point."""
    rows = rows_of(x, number_format.per, number_format.axis)
    if number_format.is_own:
        scale, zero = _own(rows, number_format)
    else:
        scale = x.new_full((1, 1), number_format.scale)
        zero = x.new_full((1, 1), number_format.zero)
    low, high = number_format.integer_range
    return rows * scale.reciprocal(), scale, low - zero, high - zero


def _own(rows: Tensor, number_format: Affine) -> tuple[Tensor, Tensor]:
    """The scale [parts, 1] and the zero point that follow from the parts."""
    known = torch.where(rows.isfinite(), rows, 0)
    if number_format.saturating != HOLDS_ALL:
        return _over(_inner(known, number_format), number_format, 1.0)
    scale, zero = _over(known, number_format, 1.0)
    if number_format.range == "max":
        return scale, zero
    least = _error(known, number_format, scale, zero)
    for factor in SHRUNK:
        other, other_zero = _over(known, number_format, factor)
        error = _error(known, number_format, other, other_zero)
        is_better = error < least
        scale, zero = torch.where(is_better, other, scale), torch.where(is_better, other_zero, zero)
        least = torch.where(is_better, error, least)
    return scale, zero


def _inner(known: Tensor, number_format: Affine) -> Tensor:
    """The parts with the numbers that may saturate drawn in to the largest of the others; of zeros none are.

    Rounding leaves that one the largest, so that the scale stays when rounded numbers are rounded again.
    """
    counts = number_format.saturating
    parts, size = known.shape
    if len(counts) not in (1, parts):
        raise SettingsError(
            f"a tensor of {parts} parts cannot be rounded to affine integers with {len(counts)} numbers of "
            "how many saturate; a plan's numbers are those of one weight"
        )
    if not known.numel():
        return known
    beyond = torch.tensor(counts, device=known.device).clamp_(max=size - 1).expand(parts).unsqueeze(1)
    if number_format.symmetric:
        reach = known.abs().sort(1, descending=True).values.gather(1, beyond)
        return known.clamp(-reach, reach).where(reach > 0, known)
    rising = known.sort(1).values
    low, high = rising.gather(1, beyond), rising.gather(1, size - 1 - beyond)
    return known.clamp(low, high).where((low < high) & ((low < 0) | (high > 0)), known)


def _error(known: Tensor, number_format: Affine, scale: Tensor, zero: Tensor) -> Tensor:
    """The squared error [parts, 1]."""
    low, high = number_format.integer_range
    rounded = (known * scale.reciprocal()).round_().clamp_(low - zero, high - zero).mul_(scale)
    return (rounded - known).double().square().sum(1, keepdim=True)


def _over(known: Tensor, number_format: Affine, factor: float) -> tuple[Tensor, Tensor]:
    """The smallest scale with which nothing in a share of the range saturates, and the zero point."""
    _, largest = number_format.integer_range
    if number_format.symmetric:
        reach = known.abs().amax(1, keepdim=True) if known.numel() else known.new_zeros(len(known), 1)
        reach = reach * factor
        scale = _held(reach / largest, number_format.scales)
        return scale, torch.zeros_like(scale)
    low = known.amin(1, keepdim=True).clamp_(max=0) * factor
    high = known.amax(1, keepdim=True).clamp_(min=0) * factor
    scale = _held((high / 2 - low / 2) / (largest / 2), number_format.scales)
    if number_format.scales == "free":
        scale = _without_ties(scale, low, high, largest)
    return scale, (low * scale.reciprocal()).round_().neg_().clamp_(0, largest)


def _held(scale: Tensor, scales: str) -> Tensor:
    """A scale to 16 significant bits, or the next power of two; 1 where there is nothing but zeros."""
    mantissa, exponent = torch.frexp(scale)
    if scales == "power_of_two":
        exponent = torch.where(mantissa == 0.5, exponent - 1, exponent)  # noqa: PLR2004
        held = torch.ldexp(torch.ones_like(scale), exponent)
    else:
        held = torch.ldexp((mantissa * 2.0**SIGNIFICANT).round_(), exponent - SIGNIFICANT)
    return torch.where(scale >= torch.finfo(scale.dtype).tiny, held, 1.0)


def _without_ties(scale: Tensor, low: Tensor, high: Tensor, largest: int) -> Tensor:
    """A little less where both ends are ties, so that both ends of the range are taken.

    Ties to even would leave one of them, and rounding the result once more would change it.
    """
    for _ in range(NUDGES):
        taken = (high * scale.reciprocal()).round_() - (low * scale.reciprocal()).round_()
        mantissa, exponent = torch.frexp(scale)
        less = torch.ldexp(mantissa * 2.0**SIGNIFICANT - 1, exponent - SIGNIFICANT)
        scale = torch.where((taken < largest) & (high > low), less, scale)
    return scale
