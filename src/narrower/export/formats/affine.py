"""Affine integers in artefacts."""

from typing import TYPE_CHECKING

import numpy as np

from narrower.export.formats.expression import Artefact, QuantNode
from narrower.plan.formats.affine import Affine
from narrower.plan.formats.grid import Grid

if TYPE_CHECKING:
    from narrower.export.onnx_builder import OnnxBuilder


class AffineExpression:
    """QuantizeLinear where the scale is a power of two, else arithmetic in float32."""

    def refusal(self, number_format: Affine, artefact: Artefact) -> str | None:
        if artefact == "safetensors":
            return None
        if number_format.is_own:
            return "its scales follow from the tensor; data need a scale that is given"
        if artefact == "onnx":
            return None
        if number_format.grid is None:
            return f"its scale is no power of two; {DIVIDES[artefact]}"
        return "it has a zero point" if not number_format.symmetric else None

    def linear(self, number_format: Affine) -> Grid | None:
        return number_format.grid

    def onnx(self, builder: "OnnxBuilder", value: str, number_format: Affine) -> str:
        scale = np.float32(number_format.scale)
        low, high = (np.float32(end - number_format.zero) for end in number_format.integer_range)
        scaled = builder.emit("Mul", value, builder.constant(np.float32(1) / scale))
        rounded = builder.emit("Round", scaled)
        clipped = builder.emit("Clip", rounded, builder.constant(low), builder.constant(high))
        return builder.emit("Mul", clipped, builder.constant(scale))

    def qonnx(self, number_format: Affine) -> QuantNode:
        return QuantNode(number_format.scale, number_format.width, signed=True, narrow=True)


DIVIDES = {
    "qonnx": "a Quant node divides by it, which rounds some values to another integer",
    "hls4ml": "a Quant node divides by it, which rounds some values to another integer",
    "verilog": "logic shifts",
}
