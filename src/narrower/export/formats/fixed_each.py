"""Fixed point with a width for each entry, in artefacts: constants for each entry, one grid for weights."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from narrower.export.formats.expression import Artefact
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.formats.fixed_each import FixedEach
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.formats.sparse import Sparse
from narrower.plan.plan import LayerPlan
from narrower.preparation.learning.deployed import bit_lengths
from narrower.quantizers.quantize import quantize

if TYPE_CHECKING:
    from narrower.export.onnx_builder import OnnxBuilder

QUANT_DOMAIN = "qonnx.custom_op.general"
WIDEST = 32


class FixedEachExpression:
    """Arithmetic in float32 with a step and a range for each entry."""

    def refusal(self, number_format: FixedEach, artefact: Artefact) -> str | None:
        if artefact == "qonnx" and number_format.overflow == "wrap":
            return "values wrap; a Quant node saturates"
        if artefact == "hls4ml" and not is_uniform(number_format):
            return "each entry has a step of its own; hls4ml takes one for a tensor"
        if artefact == "verilog":
            return "each entry has a width of its own; logic takes that where all layers are learned"
        return None

    def linear(self, _number_format: FixedEach) -> None:
        return None

    def onnx(self, builder: "OnnxBuilder", value: str, number_format: FixedEach) -> str:
        emit, fracs = builder.emit, number_format.fracs.astype(np.int64)
        scaled = emit("Mul", value, _held(builder, np.ldexp(1.0, fracs)))
        down = emit("Floor", scaled)
        # The sum of floor(x + 0.5) would be rounded; what is left after rounding down is exact.
        is_up = emit("GreaterOrEqual", emit("Sub", scaled, down), builder.constant(np.float32(0.5)))
        one, zero = builder.constant(np.float32(1)), builder.constant(np.float32(0))
        steps = emit("Add", down, emit("Where", is_up, one, zero))
        low, high = number_format.integer_ranges
        if number_format.overflow == "wrap":
            span = _held(builder, high - low + 1)
            moved = emit("Sub", steps, _held(builder, low))
            wraps = emit("Mul", emit("Floor", emit("Div", moved, span)), span)
            steps = emit("Sub", steps, wraps)
        else:
            steps = emit("Min", emit("Max", steps, _held(builder, low)), _held(builder, high))
        return emit("Mul", steps, _held(builder, np.ldexp(1.0, -fracs)))

    def qonnx(self, _number_format: FixedEach) -> None:
        raise AssertionError("see quantized_each")


def quantized_each(builder: "OnnxBuilder", value: str, number_format: FixedEach) -> str:
    """Data through one Quant node with a step for each entry, which has one width for all.

    Half a step is added and the node rounds down. Entries that are narrower than the node are bounded first.
    """
    steps = np.ldexp(1.0, -number_format.fracs.astype(np.int64))
    low, high = number_format.integer_ranges
    signed = bool((low < 0).any())
    width = max(int(bit_lengths(np.maximum(high, -low - 1)).max(initial=0)) + signed, 1 + signed)
    value = builder.emit("Add", value, _held(builder, steps / 2))
    lowest, highest = ends_of(width, signed=signed)
    if (low != lowest).any() or (high != highest).any():
        value = builder.emit("Max", value, _held(builder, low * steps))
        value = builder.emit("Min", value, _held(builder, high * steps))
    return builder.emit(
        "Quant",
        value,
        _held(builder, steps),
        builder.constant(np.float32(0), "zero_point"),
        builder.constant(np.float32(width), "bit_width"),
        domain=QUANT_DOMAIN,
        signed=int(signed),
        narrow=0,
        rounding_mode="FLOOR",
    )


def is_uniform(number_format: FixedEach) -> bool:
    """Whether all entries have one width, fraction and sign."""
    return all(len(np.unique(getattr(number_format, name))) <= 1 for name in ("widths", "fracs", "signs"))


def on_one_grid(values: Tensor, number_format: NumberFormat) -> tuple[Tensor, NumberFormat]:
    """A constant operand whose entries have widths of their own, or zeros, rounded, and one format for all.

    That is fixed point in the finest step, or float32 where that would take more than 32 bits. What is sparse
    has its zeros, and the format of the rest. Other formats stay as they are.
    """
    if isinstance(number_format, Sparse):
        return quantize(values.detach().float(), number_format), number_format.values
    if not isinstance(number_format, FixedEach):
        return values, number_format
    rounded = quantize(values.detach().float(), number_format)
    exact = rounded.double().numpy()
    fracs = np.where(exact != 0, number_format.fracs.astype(np.int64), -WIDEST)
    finest = int(fracs.max(initial=-WIDEST))
    steps = np.ldexp(exact, finest)
    width = int(bit_lengths(steps.astype(np.int64)).max(initial=0)) + 1
    if not exact.any():
        return rounded, FixedPoint(2, 0)
    return rounded, FixedPoint(max(width, 2), finest) if width <= WIDEST else FLOAT32


def with_weight_on_one_grid(weight: Tensor, layer: LayerPlan) -> tuple[Tensor, LayerPlan]:
    """A layer's weight, and its plan, with one format for all entries of the weight."""
    rounded, number_format = on_one_grid(weight, layer.weight)
    return rounded, layer if number_format is layer.weight else replace(layer, weight=number_format)


def ends_of(width: int, *, signed: bool) -> tuple[int, int]:
    """Smallest and largest number of so many bits."""
    return (-(2 ** (width - 1)), 2 ** (width - 1) - 1) if signed else (0, 2**width - 1)


def _held(builder: "OnnxBuilder", numbers: NDArray[np.floating] | NDArray[np.integer]) -> str:
    """A constant; a single number where all entries are equal."""
    array = np.asarray(numbers, np.float32)
    is_one = array.size and (array == array.flat[0]).all()
    return builder.constant(np.float32(array.flat[0]) if is_one else array)
