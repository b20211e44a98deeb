"""How edges and weights become bytes with a scale, as ONNX Runtime's integer kernels take them."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from narrower.export.formats.catalogue import linear_grid
from narrower.export.integers import BYTE, BYTE_LIMITS, whole_numbers
from narrower.plan.formats.affine import Affine
from narrower.plan.formats.fixed_channels import FixedChannels
from narrower.plan.formats.number_format import NumberFormat
from narrower.transform.quantizers.affine import integers_and_scales
from narrower.transform.quantizers.quantize import quantize_to_steps

SIGNED_ZERO = 128  # the byte that stands for zero where values have a sign


@dataclass(frozen=True, slots=True)
class ByteScale:
    """Bytes from ``low`` to ``high`` that stand for ``(byte - zero) * scale``."""

    scale: float
    zero: int
    low: int
    high: int

    @property
    def cuts(self) -> bool:
        """Whether the range is narrower than that of bytes."""
        return (self.low, self.high) != BYTE_LIMITS

    def byte_of(self, value: float) -> int:
        """The byte to which a number is rounded, ties to even as everywhere."""
        scaled = np.float32(value) * (np.float32(1) / np.float32(self.scale))
        return int(np.clip(np.rint(scaled) + self.zero, self.low, self.high))

    def within(self, low: float, high: float) -> "ByteScale":
        """Of values that are cut off before they are rounded: rounding does not change an order."""
        return replace(self, low=self.byte_of(low), high=self.byte_of(high))


@dataclass(frozen=True)
class WeightBytes:
    """A weight as signed bytes, and its scale: one, or one for each output channel."""

    integers: NDArray[np.int64]
    scale: NDArray[np.float32]


@dataclass(frozen=True)
class ProductBytes:
    """The operands of a product in whole numbers; the bias in steps of ``bias_scale``."""

    weight: WeightBytes
    bias: NDArray[np.int64] | None = None
    bias_scale: NDArray[np.float32] | None = None


def byte_scale(number_format: NumberFormat, *, has_no_sign: bool) -> ByteScale | None:
    """How an edge is stored; None where bytes do not round as its format does."""
    zero = 0 if has_no_sign else SIGNED_ZERO
    if isinstance(number_format, Affine):
        if number_format.is_own or number_format.width > BYTE:
            return None
        low, high = number_format.integer_range
        if number_format.symmetric:
            low, high = max(low + zero, 0), high + zero
        else:
            zero = number_format.zero
        return ByteScale(number_format.scale, zero, low, high)
    grid = linear_grid(number_format)
    if grid is None or grid.width > BYTE:
        return None
    zero = zero if grid.signed else 0
    return ByteScale(grid.step, zero, max(grid.low + zero, 0), grid.high + zero)


def weight_bytes(values: Tensor, number_format: NumberFormat) -> WeightBytes | None:
    """A weight [O, ...] as bytes; None where its format has more bits, no sign or other scales."""
    grid = number_format.grid
    if grid is not None:
        if grid.width > BYTE or not grid.signed:
            return None
        return WeightBytes(whole_numbers(values, number_format), np.array(grid.step, np.float32))
    if isinstance(number_format, FixedChannels) and number_format.width <= BYTE and number_format.axis == 0:
        fracs, _ = number_format.fracs_along(tuple(values.shape))
        steps = torch.empty(values.shape)
        quantize_to_steps(values.detach().float(), number_format, steps)
        return WeightBytes(np.asarray(steps.long().numpy()), np.ldexp(np.float32(1), -np.array(fracs)))
    if not isinstance(number_format, Affine) or number_format.width > BYTE or not number_format.symmetric:
        return None
    if number_format.per not in ("tensor", "channel") or number_format.axis != 0:
        return None
    integers, scales = integers_and_scales(values.detach().float(), number_format)
    shape = () if number_format.per == "tensor" else (len(values),)
    return WeightBytes(
        np.asarray(integers.long().numpy()), np.asarray(scales.numpy(), np.float32).reshape(shape)
    )


def bias_integers(
    values: Tensor, edge: ByteScale, weight: WeightBytes
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """A bias in steps of the product, and these steps."""
    step = np.float64(edge.scale) * weight.scale.astype(np.float64)
    return np.rint(values.double().numpy() / step).astype(np.int64), step.astype(np.float32)
