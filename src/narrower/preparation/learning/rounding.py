"""Coefficients in symmetric saturating fixed point whose widths are learned: values and gradients."""

from collections.abc import Sequence
from math import log

import torch
from torch import Tensor

LN2 = log(2.0)


class RoundedCoefficients:
    """``clamp(x * 2**f, -m, m)`` rounded half up, with ``f = bits - integer bits`` and ``m = 2**bits - 1``.

    Bits count no sign; zero bits leave zero. Gradients pass the rounding straight through. Inside the range
    those of a rounded value y are 1 by x, ln 2 * (x - y) by the bits, and the negative of that by the integer
    bits (Sun et al., arXiv 2405.00645, eq. 10); where it saturates they are 0, ln 2 * 2**-f with y's sign,
    and ln 2 * y. Where ``allowed`` lists bits, each has the nearest of
    these. All arrays are reused by the next call.
    """

    def __init__(self, count: int, allowed: Sequence[int] = ()) -> None:
        self._allowed = torch.tensor(sorted(allowed), dtype=torch.float32)
        self._edges = (self._allowed[1:] + self._allowed[:-1]) / 2
        names = ("bits", "integers", "fractions", "_scale", "_scaled", "_clipped", "_limit", "_side", "_rest")
        self._arrays = {name: torch.empty(count) for name in names}

    @property
    def bits(self) -> Tensor:
        """Whole numbers of bits."""
        return self._arrays["bits"]

    @property
    def integers(self) -> Tensor:
        """The rounded coefficients in their steps ``2**-f``."""
        return self._arrays["integers"]

    @property
    def fractions(self) -> Tensor:
        """``f``, whole numbers."""
        return self._arrays["fractions"]

    def round(self, values: Tensor, bits: Tensor, integer_bits: Tensor) -> None:
        """Round coefficients, after their bits."""
        at = self._arrays
        whole, limit, clipped = at["bits"], at["_limit"], at["_clipped"]
        if len(self._allowed):
            torch.index_select(self._allowed, 0, torch.bucketize(bits, self._edges), out=whole)
        else:
            torch.round(bits, out=whole)
        torch.round(integer_bits, out=at["fractions"]).neg_().add_(whole)
        torch.exp2(at["fractions"], out=at["_scale"])
        torch.mul(values, at["_scale"], out=at["_scaled"])
        torch.exp2(whole, out=limit).sub_(1)
        torch.minimum(at["_scaled"], limit, out=clipped)
        torch.maximum(clipped, limit.neg_(), out=clipped)
        torch.add(clipped, 0.5, out=at["integers"]).floor_()

    def gradients(self, of_integers: Tensor, values: Tensor, bits: Tensor, integer_bits: Tensor) -> None:
        """From the gradient by the integers, which is overwritten, write those by the other three."""
        at = self._arrays
        side, rest = at["_side"], at["_rest"]
        torch.sub(at["_scaled"], at["_clipped"], out=side).sign_()  # where it saturates: the sign
        torch.sub(at["_clipped"], at["integers"], out=rest)
        torch.add(rest, side, out=bits)
        side.abs_()
        torch.mul(at["integers"], side, out=integer_bits).sub_(rest)
        torch.mul(of_integers, at["_scale"], out=values).mul_(side.sub_(1).neg_())
        of_integers.mul_(LN2)
        bits.mul_(of_integers)
        integer_bits.mul_(of_integers)
