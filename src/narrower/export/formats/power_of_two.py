"""Powers of two in artefacts."""

from typing import TYPE_CHECKING

import numpy as np

from narrower.export.formats.expression import Artefact
from narrower.plan.formats.power_of_two import PowerOfTwo

if TYPE_CHECKING:
    from narrower.export.onnx_builder import OnnxBuilder

BELOW_MIDDLE = float(np.float32(0.5**0.5))  # of 1/2 and 1 by their logarithms
MOST_POWERS = 32  # each takes operators


class PowerOfTwoExpression:
    """A comparison in float32 for each power."""

    def refusal(self, number_format: PowerOfTwo, artefact: Artefact) -> str | None:
        if artefact == "onnx" and number_format.most - number_format.least >= MOST_POWERS:
            return f"ONNX rounds it with operators for each power; up to {MOST_POWERS} powers"
        return "its values are not evenly spaced" if artefact in ("qonnx", "hls4ml", "verilog") else None

    def linear(self, _number_format: PowerOfTwo) -> None:
        return None

    def onnx(self, builder: "OnnxBuilder", value: str, number_format: PowerOfTwo) -> str:
        def held(number: float) -> str:
            return builder.constant(np.float32(number))

        size, least = builder.emit("Abs", value), number_format.least
        found = held(2.0**least)
        if number_format.has_zero:
            found = builder.emit(
                "Where", builder.emit("Greater", size, held(2.0 ** (least - 1))), found, held(0)
            )
        for exponent in range(least + 1, number_format.most + 1):
            is_larger = builder.emit("Greater", size, held(BELOW_MIDDLE * 2.0**exponent))
            found = builder.emit("Where", is_larger, held(2.0**exponent), found)
        is_negative = builder.emit("Less", value, held(0))
        return builder.emit("Where", is_negative, builder.emit("Neg", found), found)

    def qonnx(self, _number_format: PowerOfTwo) -> None:
        raise AssertionError("refused before")
