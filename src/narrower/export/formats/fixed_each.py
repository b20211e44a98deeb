"""Fixed point with a width for each entry, in artefacts: constants for each entry, one grid for weights."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from narrower.export.formats.expression import Artefact
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.formats.fixed_channels import FixedChannels
from narrower.plan.formats.fixed_each import FixedEach
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.formats.sparse import Sparse
from narrower.plan.plan import LayerPlan
from narrower.preparation.learning.deployed import bit_lengths
from narrower.transform.quantizers.quantize import quantize

if TYPE_CHECKING:
    from narrower.export.onnx_builder import OnnxBuilder

QUANT_DOMAIN = "qonnx.custom_op.general"
WIDEST = 32


class FixedEachExpression:
    """Arithmetic in float32 with a step and a range for each entry."""

    def refusal(self, number_format: FixedEach, artefact: Artefact) -> str | None:
        if artefact in ("qonnx", "hls4ml") and number_format.overflow == "wrap":
            return "values wrap; a Quant node saturates"
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
    """Data through Quant nodes with one step and one width for all entries, as hls4ml takes them.

    Entries are scaled so that all fill the width of the first node, which bounds them; the second rounds down
    to their steps, to which half a step was added before. What is unsigned among signed ones is moved by half
    of its range. The last node has the finest step and changes nothing: hls4ml moves factors behind products
    that it follows directly, and so with the wrong axis.
    """
    widths, fracs = number_format.widths.astype(np.int64), number_format.fracs.astype(np.int64)
    used, signed = widths > 0, bool(((number_format.signs != 0) & (number_format.widths > 0)).any())
    width = max(int(widths.max(initial=0)), 1 + signed)
    spare = np.where(used, width - widths, 0)
    moved = np.where(used & signed & (number_format.signs == 0), np.ldexp(0.5, widths), 0)  # in steps
    value = _scaled(builder, value, np.where(used, np.ldexp(1.0, fracs + spare), 0))
    value = _added(builder, value, np.where(used, np.ldexp(0.5 - moved, spare), 0))
    value = _whole(builder, value, width, signed=signed)
    if spare.any():
        value = _whole(builder, _scaled(builder, value, np.ldexp(1.0, -spare)), width, signed=signed)
    if signed and number_format.overflow == "symmetric":
        least = number_format.integer_ranges[0].astype(np.float64) - moved
        value = _added(builder, builder.emit("Relu", _added(builder, value, -least)), least)
    value = _added(builder, value, moved)
    value = _scaled(builder, value, np.where(used, np.ldexp(1.0, -fracs), 1))
    finest = int(np.where(used, fracs, -WIDEST).max(initial=-WIDEST))
    widest = int(np.where(used, widths + finest - fracs, 0).max(initial=0)) + bool(moved.any())
    return _whole(builder, value, max(widest, 1 + signed), 2.0**-finest, signed=signed)


def _scaled(builder: "OnnxBuilder", value: str, factors: NDArray[np.float64]) -> str:
    return value if (factors == 1).all() else builder.emit("Mul", value, _held(builder, factors))


def _added(builder: "OnnxBuilder", value: str, numbers: NDArray[np.float64]) -> str:
    return builder.emit("Add", value, _held(builder, numbers)) if numbers.any() else value


def _whole(builder: "OnnxBuilder", value: str, width: int, step: float = 1.0, *, signed: bool) -> str:
    """A Quant node that rounds down."""
    return builder.emit(
        "Quant",
        value,
        builder.constant(np.float32(step), "scale"),
        builder.constant(np.float32(0), "zero_point"),
        builder.constant(np.float32(width), "bit_width"),
        domain=QUANT_DOMAIN,
        signed=int(signed),
        narrow=0,
        rounding_mode="FLOOR",
    )


def on_one_grid(values: Tensor, number_format: NumberFormat) -> tuple[Tensor, NumberFormat]:
    """A constant operand whose entries have widths of their own, or zeros, rounded, and one format for all.

    That is fixed point in the finest step, or float32 where that would take more than 32 bits. What is sparse
    has its zeros, and the format of the rest. Other formats stay as they are.
    """
    if isinstance(number_format, Sparse):
        return quantize(values.detach().float(), number_format), number_format.values
    if not isinstance(number_format, FixedEach | FixedChannels) or number_format.grid is not None:
        return values, number_format
    rounded = quantize(values.detach().float(), number_format)
    exact = rounded.double().numpy()
    fracs = np.where(exact != 0, _fractions(number_format, exact.shape), -WIDEST)
    finest = int(fracs.max(initial=-WIDEST))
    steps = np.ldexp(exact, finest)
    width = int(bit_lengths(steps.astype(np.int64)).max(initial=0)) + 1
    if not exact.any():
        return rounded, FixedPoint(2, 0)
    return rounded, FixedPoint(max(width, 2), finest) if width <= WIDEST else FLOAT32


def _fractions(number_format: FixedEach | FixedChannels, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """The fraction width of each entry, in a shape that goes with the tensor's."""
    if isinstance(number_format, FixedEach):
        return number_format.fracs.astype(np.int64)
    fracs, axis = number_format.fracs_along(shape)
    return np.moveaxis(np.array(fracs, np.int64).reshape(-1, *(1,) * (len(shape) - 1)), 0, axis)


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
