"""Fixed point in artefacts."""

from typing import TYPE_CHECKING

import numpy as np

from narrower.export.formats.expression import Artefact, QuantNode
from narrower.formats.fixed import FixedPoint
from narrower.formats.grid import Grid

if TYPE_CHECKING:
    from narrower.export.onnx_builder import OnnxBuilder


class FixedExpression:
    """QuantizeLinear with a power of two, Mul, Round and Clip, or a Quant node."""

    def refusal(self, number_format: FixedPoint, artefact: Artefact) -> str | None:
        if artefact == "qonnx" and number_format.signed and number_format.width == 1:
            return (
                f"QONNX reads one signed bit as -1 or 1, {number_format.text} is -1 or 0 steps; "
                "2 bits and more can be expressed"
            )
        return None

    def linear(self, number_format: FixedPoint) -> Grid:
        return number_format.grid

    def onnx(self, builder: "OnnxBuilder", value: str, number_format: FixedPoint) -> str:
        low, high = (builder.constant(np.float32(limit)) for limit in number_format.integer_range)
        scaled = builder.emit("Mul", value, builder.constant(np.float32(2.0**number_format.frac)))
        whole = builder.emit("Clip", builder.emit("Round", scaled), low, high)
        return builder.emit("Mul", whole, builder.constant(np.float32(number_format.step)))

    def qonnx(self, number_format: FixedPoint) -> QuantNode:
        return QuantNode(number_format.step, number_format.width, number_format.signed)
