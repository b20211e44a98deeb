"""Blocks that share an exponent, in artefacts."""

from typing import TYPE_CHECKING

from narrower.export.formats.expression import Artefact
from narrower.plan.formats.block import BlockFloat, Mx

if TYPE_CHECKING:
    from narrower.export.onnx_builder import OnnxBuilder


class BlockExpression:
    """Weights are constants; data can be held nowhere but in PyTorch."""

    def refusal(self, _number_format: BlockFloat | Mx, artefact: Artefact) -> str | None:
        return None if artefact == "safetensors" else REASONS[artefact]

    def linear(self, _number_format: BlockFloat | Mx) -> None:
        return None

    def onnx(self, _builder: "OnnxBuilder", _value: str, _number_format: BlockFloat | Mx) -> str:
        raise AssertionError("refused before")

    def qonnx(self, _number_format: BlockFloat | Mx) -> None:
        raise AssertionError("refused before")


REASONS: dict[Artefact, str] = {
    "onnx": "ONNX has no operator for the exponent of a block's largest number; weights may be in blocks",
    "qonnx": "a Quant node has no blocks",
    "hls4ml": "a Quant node has no blocks",
    "verilog": "logic has no blocks",
}
