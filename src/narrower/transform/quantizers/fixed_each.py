"""How fixed point with a width for each entry rounds: half up."""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from narrower.plan.formats.fixed_each import FixedEach


class FixedEachQuantizer:
    """Rounds in double precision, in which half a step is always exact; NaN stays NaN.

    The gradient passes inside the range, and everywhere where values wrap.
    """

    def round(self, x: Tensor, number_format: FixedEach) -> Tensor:
        factors, _, _ = _constants(number_format)
        return (_steps(x, number_format) / factors).to(x.dtype)

    def round_to_steps(self, x: Tensor, number_format: FixedEach, out: Tensor) -> None:
        out.copy_(_steps(x, number_format))

    def passes_gradient(self, x: Tensor, number_format: FixedEach) -> Tensor:
        factors, low, high = _constants(number_format)
        if number_format.overflow == "wrap":
            return torch.ones_like(x, dtype=torch.bool)
        scaled = x.double() * factors
        return (scaled >= low - 0.5) & (scaled <= high + 0.5)


def _steps(x: Tensor, number_format: FixedEach) -> Tensor:
    factors, low, high = _constants(number_format)
    steps = (x.double() * factors).add_(0.5).floor_()
    if number_format.overflow == "wrap":
        return (steps - low).remainder_(high - low + 1).add_(low)
    return torch.minimum(torch.maximum(steps, low), high)


@lru_cache(maxsize=256)
def _constants(number_format: FixedEach) -> tuple[Tensor, Tensor, Tensor]:
    """2**frac, and the ends of the range in steps."""
    fracs = number_format.fracs.astype(np.int64)
    low, high = number_format.integer_ranges
    arrays = (np.ldexp(1.0, fracs), low.astype(np.float64), high.astype(np.float64))
    factors, lowest, highest = (torch.from_numpy(array) for array in arrays)
    return factors, lowest, highest
