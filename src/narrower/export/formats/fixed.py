"""Fixed point in artefacts."""

from typing import TYPE_CHECKING

import numpy as np

from narrower.export.formats.expression import Artefact, QuantNode
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.formats.grid import Grid

if TYPE_CHECKING:
    from narrower.export.onnx_builder import OnnxBuilder

QONNX_ROUNDINGS = {"half_even": "ROUND", "floor": "FLOOR"}


class FixedExpression:
    """QuantizeLinear with a power of two, arithmetic in float32, or a Quant node."""

    def refusal(self, number_format: FixedPoint, artefact: Artefact) -> str | None:
        if number_format.overflow == "wrap" and artefact in ("qonnx", "hls4ml", "verilog"):
            return f"values wrap; {SATURATES[artefact]} saturates"
        if artefact not in ("qonnx", "hls4ml"):
            return None
        if number_format.rounding not in QONNX_ROUNDINGS:
            return "ties go upwards; QONNX has half_even and floor, its HALF_UP takes ties away from zero"
        if number_format.signed and number_format.width == 1:
            return "-1 or 0 steps; QONNX reads one signed bit as -1 or 1; 2 bits and more can be expressed"
        return None

    def linear(self, number_format: FixedPoint) -> Grid | None:
        is_linear = number_format.rounding == "half_even" and number_format.overflow != "wrap"
        return number_format.grid if is_linear else None

    def onnx(self, builder: "OnnxBuilder", value: str, number_format: FixedPoint) -> str:
        scaled = builder.emit("Mul", value, builder.constant(np.float32(2.0**number_format.frac)))
        whole = _rounded(builder, scaled, number_format.rounding)
        if number_format.overflow == "wrap":
            whole = _wrapped(builder, whole, number_format)
        else:
            limits = (builder.constant(np.float32(limit)) for limit in number_format.integer_range)
            whole = builder.emit("Clip", whole, *limits)
        return builder.emit("Mul", whole, builder.constant(np.float32(number_format.step)))

    def qonnx(self, number_format: FixedPoint) -> QuantNode:
        return QuantNode(
            number_format.step,
            number_format.width,
            number_format.signed,
            number_format.signed and number_format.overflow == "saturate_symmetric",
            QONNX_ROUNDINGS[number_format.rounding],
        )


SATURATES = {"qonnx": "a Quant node", "hls4ml": "a Quant node", "verilog": "the logic that is built"}


def _rounded(builder: "OnnxBuilder", scaled: str, rounding: str) -> str:
    if rounding == "half_even":
        return builder.emit("Round", scaled)
    down = builder.emit("Floor", scaled)
    if rounding == "floor":
        return down
    # The sum of floor(x + 0.5) would be rounded; what is left after rounding down is exact.
    rest = builder.emit("Sub", scaled, down)
    is_up = builder.emit("GreaterOrEqual", rest, builder.constant(np.float32(0.5)))
    one, zero = builder.constant(np.float32(1)), builder.constant(np.float32(0))
    return builder.emit("Add", down, builder.emit("Where", is_up, one, zero))


def _wrapped(builder: "OnnxBuilder", whole: str, number_format: FixedPoint) -> str:
    """The bits above the range dropped: Mod has the sign of the number."""
    low, high = (builder.constant(np.float32(limit)) for limit in number_format.integer_range)
    span = builder.constant(np.float32(2.0**number_format.width))
    zero = builder.constant(np.float32(0))
    finite = builder.emit("Where", builder.emit("IsInf", whole), zero, whole)
    rest = builder.emit("Mod", finite, span, fmod=1)
    raised = builder.emit("Where", builder.emit("Less", rest, low), builder.emit("Add", rest, span), rest)
    return builder.emit(
        "Where", builder.emit("Greater", raised, high), builder.emit("Sub", raised, span), raised
    )
