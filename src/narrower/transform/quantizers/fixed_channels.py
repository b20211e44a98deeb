"""How fixed point with a fraction for each channel rounds: as fixed point, channel by channel."""

from functools import lru_cache

import torch
from torch import Tensor

from narrower.plan.formats.fixed_channels import FixedChannels
from narrower.transform.quantizers.fixed import FixedQuantizer

_WHOLE = FixedQuantizer()


class FixedChannelsQuantizer:
    """Factors are powers of two, so that nothing but the rounding itself is inexact; NaN stays NaN.

    The gradient passes where nothing saturates, and everywhere where values wrap.
    """

    def round(self, x: Tensor, number_format: FixedChannels) -> Tensor:
        factors = factors_of(number_format, tuple(x.shape)).to(x)
        return _WHOLE.round_in_place(x * factors, number_format.steps).div_(factors)

    def round_to_steps(self, x: Tensor, number_format: FixedChannels, out: Tensor) -> None:
        factors = factors_of(number_format, tuple(x.shape)).to(x)
        out.copy_(_WHOLE.round_in_place(x * factors, number_format.steps))

    def passes_gradient(self, x: Tensor, number_format: FixedChannels) -> Tensor:
        factors = factors_of(number_format, tuple(x.shape)).to(x)
        return _WHOLE.passes_gradient(x * factors, number_format.steps)


@lru_cache(maxsize=256)
def factors_of(number_format: FixedChannels, shape: tuple[int, ...]) -> Tensor:
    """2**frac in a shape that goes with a tensor's."""
    fracs, axis = number_format.fracs_along(shape)
    factors = torch.tensor([2.0**frac for frac in fracs], dtype=torch.float64)
    return factors.view(-1, *(1,) * (len(shape) - 1)).movedim(0, axis) if shape else factors[0]
