"""How blocks of numbers round that share an exponent."""

from functools import cache

import torch
from torch import Tensor

from narrower.plan.formats.block import BlockFloat, Mx, axis_in
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.formats.minifloat import Minifloat
from narrower.plan.formats.text import parse_format
from narrower.transform.quantizers.fixed import FixedQuantizer
from narrower.transform.quantizers.minifloat import MinifloatQuantizer

E8M0 = (-127, 127)  # exponents of the scale of a block
SIXTY_FOURTHS = FixedPoint(8, 6, overflow="saturate_symmetric")


class BlockFloatQuantizer:
    """NaN stays NaN, infinity saturates; neither counts as the block's largest magnitude.

    A block's largest magnitude that is a power of two lies beyond the largest number and becomes that. The
    gradient passes everywhere.
    """

    def round(self, x: Tensor, number_format: BlockFloat) -> Tensor:
        blocks = _blocks(x, number_format)
        mantissa, exponent = torch.frexp(_largest(blocks))
        exponent = torch.where(mantissa == 0.5, exponent - 1, exponent)  # noqa: PLR2004
        exponent.clamp_(-number_format.bias, 2**number_format.exponent - 1 - number_format.bias)
        shift = exponent - number_format.width + 1
        most = 2 ** (number_format.width - 1) - 1
        whole = _times_power(blocks, -shift).round_().clamp_(-most, most)
        return _unblocked(_times_power(whole, shift), x, number_format)

    def round_to_steps(self, _x: Tensor, _number_format: BlockFloat, _out: Tensor) -> None:
        raise AssertionError("blocks lie on grids of their own")

    def passes_gradient(self, x: Tensor, _number_format: BlockFloat) -> Tensor:
        return torch.ones_like(x, dtype=torch.bool)


class MxQuantizer:
    """NaN stays NaN, infinity saturates; neither counts as the block's largest magnitude.

    The gradient passes everywhere.
    """

    def round(self, x: Tensor, number_format: Mx) -> Tensor:
        blocks = _blocks(x, number_format)
        element = _element(number_format.element)
        most = 0 if isinstance(element, FixedPoint) else element.largest_exponent
        exponent = (torch.frexp(_largest(blocks)).exponent - 1 - most).clamp_(*E8M0)
        scaled = _times_power(blocks, -exponent)
        if isinstance(element, FixedPoint):
            rounded = FixedQuantizer().round(scaled, element)
        else:
            rounded = MinifloatQuantizer().round(scaled, element)
        return _unblocked(_times_power(rounded, exponent), x, number_format)

    def round_to_steps(self, _x: Tensor, _number_format: Mx, _out: Tensor) -> None:
        raise AssertionError("blocks lie on grids of their own")

    def passes_gradient(self, x: Tensor, _number_format: Mx) -> Tensor:
        return torch.ones_like(x, dtype=torch.bool)


@cache
def _element(name: str) -> Minifloat | FixedPoint:
    element = SIXTY_FOURTHS if name == "int8" else parse_format(name)
    assert isinstance(element, Minifloat | FixedPoint)
    return element


def _times_power(x: Tensor, exponent: Tensor) -> Tensor:
    """``x * 2**exponent``, in two steps: the power alone may be no number."""
    half = exponent // 2
    return torch.ldexp(torch.ldexp(x, half), exponent - half)


def _largest(blocks: Tensor) -> Tensor:
    return torch.where(blocks.isfinite(), blocks, 0).abs().amax(-1, keepdim=True)


def _blocks(x: Tensor, number_format: BlockFloat | Mx) -> Tensor:
    """The blocks [..., blocks, numbers]; one that is not full ends in zeros."""
    moved = x.movedim(axis_in(number_format, x.dim()), -1)
    padded = torch.nn.functional.pad(moved, (0, -moved.shape[-1] % number_format.block))
    return padded.reshape(*moved.shape[:-1], padded.shape[-1] // number_format.block, number_format.block)


def _unblocked(blocks: Tensor, like: Tensor, number_format: BlockFloat | Mx) -> Tensor:
    axis = axis_in(number_format, like.dim())
    return blocks.flatten(-2)[..., : like.shape[axis]].movedim(-1, axis).contiguous()
