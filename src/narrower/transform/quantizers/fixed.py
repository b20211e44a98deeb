"""How fixed point rounds to steps, and what becomes of values outside its range."""

from collections.abc import Callable

import torch
from torch import Tensor

from narrower.plan.formats.fixed import FixedPoint

DOUBLED_WIDTH = 23  # up to here twice every value of the range, and one more, is a float32


class FixedQuantizer:
    """Saturated or wrapped; NaN stays NaN, and infinity wraps to 0, as all large float32 numbers do.

    The gradient passes where nothing saturates, and everywhere where values wrap.
    """

    def round(self, x: Tensor, number_format: FixedPoint) -> Tensor:
        scaled = x.mul(2.0**number_format.frac)
        _to_steps(scaled, number_format)
        return scaled.mul_(number_format.step)

    def round_in_place(self, x: Tensor, number_format: FixedPoint) -> Tensor:
        """``round`` in the memory of the tensor."""
        x.mul_(2.0**number_format.frac)
        _to_steps(x, number_format)
        return x.mul_(number_format.step)

    def round_to_steps(self, x: Tensor, number_format: FixedPoint, out: Tensor) -> None:
        torch.mul(x, 2.0**number_format.frac, out=out)
        _to_steps(out, number_format)

    def round_and_mask(self, x: Tensor, number_format: FixedPoint) -> tuple[Tensor, Tensor]:
        """Both of ``round`` and ``passes_gradient`` in fewer operations, where nothing wraps.

        Where the gradient passes is a number of one byte, 1 or 0.
        """
        scaled = x.mul(2.0**number_format.frac)
        ROUNDINGS[number_format.rounding](scaled)
        bounded = scaled.clamp(*number_format.integer_range)
        inside = scaled.eq_(bounded).to(torch.int8)  # faster than comparing into truth values
        return bounded.mul_(number_format.step), inside

    def passes_gradient(self, x: Tensor, number_format: FixedPoint) -> Tensor:
        if number_format.overflow == "wrap":
            return torch.ones_like(x, dtype=torch.bool)
        return self.round_and_mask(x, number_format)[1].bool()


def _to_steps(scaled: Tensor, number_format: FixedPoint) -> None:
    """Round numbers that are in steps, in place, into the range."""
    if number_format.overflow == "wrap":
        ROUNDINGS[number_format.rounding](scaled)
        _wrap(scaled, number_format)
        return
    if number_format.rounding == "half_up" and number_format.width <= DOUBLED_WIDTH:
        _round_half_up_doubled(scaled)
    else:
        ROUNDINGS[number_format.rounding](scaled)
    scaled.clamp_(*number_format.integer_range)


def _round_half_up(x: Tensor) -> None:
    """``floor(x + 0.5)`` without its sum, which float32 rounds; what is left after rounding down is exact."""
    down = x.floor()
    x.sub_(down).ge_(0.5).add_(down)


def _round_half_up_doubled(x: Tensor) -> None:
    """The same in place: half of ``floor(2 * x) + 1``, rounded down.

    Above 2**23 the result may be off by one; ranges of at most 23 bits saturate long before.
    """
    x.mul_(2.0).floor_().add_(1.0).mul_(0.5).floor_()


ROUNDINGS: dict[str, Callable[[Tensor], object]] = {
    "half_even": Tensor.round_,
    "half_up": _round_half_up,
    "floor": Tensor.floor_,
}


def _wrap(steps: Tensor, number_format: FixedPoint) -> None:
    """Drop the bits above the range, as two's complement does."""
    span = 2.0**number_format.width
    steps.masked_fill_(steps.isinf(), 0.0).remainder_(span)
    if number_format.signed:
        above = steps > number_format.integer_range[1]
        steps.sub_(above.to(steps.dtype), alpha=span)
