"""How artefacts express the numbers of one family."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from narrower.plan.formats.grid import Grid

if TYPE_CHECKING:
    from narrower.export.onnx_builder import OnnxBuilder

Artefact = Literal["onnx", "qonnx", "hls4ml", "verilog", "safetensors"]
ARTEFACTS: tuple[Artefact, ...] = ("onnx", "qonnx", "hls4ml", "verilog", "safetensors")


@dataclass(frozen=True, slots=True)
class QuantNode:
    """QONNX's Quant: step, width and how it rounds."""

    scale: float
    width: int
    signed: bool
    narrow: bool = False
    rounding_mode: str = "ROUND"


@runtime_checkable
class Expression(Protocol):
    """What artefacts make of a family; ``number_format`` is always of its kind."""

    def refusal(self, number_format: Any, artefact: Artefact, /) -> str | None:
        """Why an artefact cannot hold data in this format; None: it can."""

    def linear(self, number_format: Any, /) -> Grid | None:
        """The grid on which ONNX's QuantizeLinear, after a Clip, rounds data as the format does, if any."""

    def onnx(self, builder: "OnnxBuilder", value: str, number_format: Any, /) -> str:
        """The rounded value, by operators in float32."""

    def qonnx(self, number_format: Any, /) -> QuantNode | None:
        """The Quant node that rounds as the format does; None: no rounding."""
