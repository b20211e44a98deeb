"""Binary and ternary numbers in artefacts."""

from typing import TYPE_CHECKING

import numpy as np

from narrower.export.formats.expression import Artefact
from narrower.plan.formats.sign_only import Binary, Ternary

if TYPE_CHECKING:
    from narrower.export.onnx_builder import OnnxBuilder


class SignExpression:
    """Comparisons in float32."""

    def refusal(self, number_format: Binary | Ternary, artefact: Artefact) -> str | None:
        if artefact == "safetensors":
            return None
        if number_format.needs_all_samples:
            return "its scale follows from the tensor; data need one that is given"
        return None if artefact == "onnx" else "no rule writes a rounding by thresholds"

    def linear(self, _number_format: Binary | Ternary) -> None:
        return None

    def onnx(self, builder: "OnnxBuilder", value: str, number_format: Binary | Ternary) -> str:
        scale = np.float32(number_format.scale)
        if isinstance(number_format, Binary):
            is_above = builder.emit("GreaterOrEqual", value, builder.constant(np.float32(0)))
            return builder.emit("Where", is_above, builder.constant(scale), builder.constant(-scale))
        threshold = builder.constant(np.float32(number_format.threshold))
        is_large = builder.emit("Greater", builder.emit("Abs", value), threshold)
        signed = builder.emit("Mul", builder.emit("Sign", value), builder.constant(scale))
        return builder.emit("Where", is_large, signed, builder.constant(np.float32(0)))

    def qonnx(self, _number_format: Binary | Ternary) -> None:
        raise AssertionError("refused before")
