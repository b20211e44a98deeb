"""Small floating point in artefacts."""

from typing import TYPE_CHECKING

import numpy as np

from narrower.export.formats.expression import Artefact
from narrower.plan.formats.minifloat import Minifloat

if TYPE_CHECKING:
    from narrower.export.onnx_builder import OnnxBuilder

MOST_EXPONENTS = 5  # bits; each exponent takes operators


class MinifloatExpression:
    """Arithmetic in float32 with a step for each exponent; QONNX and logic have fixed point alone."""

    def refusal(self, number_format: Minifloat, artefact: Artefact) -> str | None:
        if artefact == "onnx" and number_format.exponent > MOST_EXPONENTS:
            return f"ONNX rounds it with operators for each exponent; up to {MOST_EXPONENTS} exponent bits"
        return "its values are not evenly spaced" if artefact in ("qonnx", "hls4ml", "verilog") else None

    def linear(self, _number_format: Minifloat) -> None:
        return None

    def onnx(self, builder: "OnnxBuilder", value: str, number_format: Minifloat) -> str:
        def held(number: float) -> str:
            return builder.constant(np.float32(number))

        largest, least = number_format.largest, number_format.least_exponent
        clipped = builder.emit("Clip", value, held(-largest), held(largest))
        size = builder.emit("Abs", clipped)
        below = least - number_format.mantissa if number_format.subnormals else least
        step = held(2.0**below)
        for exponent in range(least, number_format.largest_exponent + 1):
            is_larger = builder.emit("GreaterOrEqual", size, held(2.0**exponent))
            step = builder.emit("Where", is_larger, held(2.0 ** (exponent - number_format.mantissa)), step)
        return builder.emit("Mul", builder.emit("Round", builder.emit("Div", clipped, step)), step)

    def qonnx(self, _number_format: Minifloat) -> None:
        raise AssertionError("refused before")
