"""Fixed-point formats as tensors: one for each of several candidates, or for each entry of a vector.

Float32 is among them, as a format that changes nothing. Rounding is one chain of operations for all, and the
gradient's mask takes one byte for each number.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.formats.float32 import Float32
from narrower.plan.formats.number_format import NumberFormat
from narrower.transform.quantizers.fixed import ROUNDINGS

UNBOUNDED = float("inf")


@dataclass(frozen=True, slots=True)
class FixedTensors:
    """Factor, range in steps, and where nothing is rounded: tensors of one shape; one rounding for all.

    ``exact`` is None where everything is rounded.
    """

    factor: Tensor
    low: Tensor
    high: Tensor
    exact: Tensor | None
    rounding: str

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Those that there are, in order."""
        return (self.factor, self.low, self.high, *(() if self.exact is None else (self.exact,)))

    def with_tensors(self, tensors: Sequence[Tensor]) -> "FixedTensors":
        """The same with other ``tensors``."""
        exact = None if self.exact is None else tensors[3]
        return FixedTensors(tensors[0], tensors[1], tensors[2], exact, self.rounding)

    def each(self, change: Any) -> "FixedTensors":
        """With every tensor changed in the same way."""
        exact = None if self.exact is None else change(self.exact)
        return FixedTensors(change(self.factor), change(self.low), change(self.high), exact, self.rounding)


def fixed_tensors(formats: Sequence[NumberFormat]) -> FixedTensors | None:
    """The formats as tensors [C]; None where one is of another family, wraps, or rounds differently."""
    fixed = [f for f in formats if isinstance(f, FixedPoint) and f.overflow != "wrap"]
    exact = [isinstance(f, Float32) for f in formats]
    roundings = {f.rounding for f in fixed}
    if len(fixed) + sum(exact) < len(formats) or len(roundings) > 1:
        return None
    ranges = [f.integer_range if isinstance(f, FixedPoint) else (-UNBOUNDED, UNBOUNDED) for f in formats]
    return FixedTensors(
        torch.tensor([2.0**f.frac if isinstance(f, FixedPoint) else 1.0 for f in formats]),
        torch.tensor([float(low) for low, _ in ranges]),
        torch.tensor([float(high) for _, high in ranges]),
        torch.tensor(exact) if any(exact) else None,
        next(iter(roundings), "half_even"),
    )


def round_fixed(x: Tensor, formats: FixedTensors, out: Tensor, inside: Tensor | None) -> None:
    """Round into ``out``; ``inside``, of int8, is 1 where nothing saturates: where a gradient passes."""
    torch.mul(x, formats.factor, out=out)
    ROUNDINGS[formats.rounding](out)
    # PyTorch's clamp is five times as slow as these two where the ends of the range are tensors.
    bounded = torch.maximum(out, formats.low)
    torch.minimum(bounded, formats.high, out=bounded)
    if inside is not None:
        inside.copy_(out.eq_(bounded))  # four times as fast as comparing into truth values
    torch.div(bounded, formats.factor, out=out)
    if formats.exact is not None:
        torch.where(formats.exact, x, out, out=out)
        if inside is not None:
            inside |= formats.exact


def round_straight_through(x: Tensor, formats: FixedTensors) -> Tensor:
    """Round in formats that broadcast; within ``torch.vmap``, each candidate in its own."""
    rounded: Tensor = _Rounding.apply(  # type: ignore[no-untyped-call]
        x, formats.factor, formats.low, formats.high, formats.exact, formats.rounding
    )[0]
    return rounded


def round_stacked(x_cn: Tensor, formats: FixedTensors) -> Tensor:
    """Round candidates [C, N, ...], each in its own format, outside of ``torch.vmap``."""
    ones = (1,) * (x_cn.dim() - 1)
    return round_straight_through(x_cn, formats.each(lambda tensor: tensor.view(-1, *ones)))


class _Rounding(torch.autograd.Function):
    @staticmethod
    def forward(
        x: Tensor, factor: Tensor, low: Tensor, high: Tensor, exact: Tensor | None, rounding: str
    ) -> tuple[Tensor, Tensor]:
        out = torch.empty_like(x * factor) if x.shape[0] != factor.shape[0] else torch.empty_like(x)
        inside = torch.empty_like(out, dtype=torch.int8)
        round_fixed(x, FixedTensors(factor, low, high, exact, rounding), out, inside)
        return out, inside

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(output[1])
        ctx.shape = inputs[0].shape

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None, None]:
        (inside,) = ctx.saved_tensors
        return (gradients[0] * inside).sum_to_size(ctx.shape), None, None, None, None, None

    @staticmethod
    def vmap(
        _info: Any,
        in_dims: tuple[int | None, ...],
        x: Tensor,
        factor: Tensor,
        low: Tensor,
        high: Tensor,
        exact: Tensor | None,
        rounding: str,
    ) -> tuple[tuple[Tensor, Tensor], tuple[int, int]]:
        x = x.movedim(in_dims[0], 0) if in_dims[0] is not None else x.unsqueeze(0)
        ones = (1,) * (x.dim() - 1)
        each = [None if t is None else t.reshape(-1, *ones) for t in (factor, low, high, exact)]
        found = _Rounding.apply(x, *each, rounding)  # type: ignore[no-untyped-call]
        return (found[0], found[1]), (0, 0)
