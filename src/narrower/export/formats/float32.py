"""Float32 in artefacts: a value that is not rounded."""

from typing import TYPE_CHECKING

from narrower.export.formats.expression import Artefact
from narrower.plan.formats.float32 import Float32

if TYPE_CHECKING:
    from narrower.export.onnx_builder import OnnxBuilder


class Float32Expression:
    """Nothing to write; logic has no float32."""

    def refusal(self, _number_format: Float32, artefact: Artefact) -> str | None:
        return "logic needs whole steps" if artefact == "verilog" else None

    def linear(self, _number_format: Float32) -> None:
        return None

    def onnx(self, _builder: "OnnxBuilder", value: str, _number_format: Float32) -> str:
        return value

    def qonnx(self, _number_format: Float32) -> None:
        return None
