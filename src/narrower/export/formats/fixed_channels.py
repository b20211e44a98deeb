"""Fixed point with a fraction for each channel in artefacts: weights are written as they are rounded."""

from typing import TYPE_CHECKING

from narrower.export.formats.expression import Artefact
from narrower.plan.formats.fixed_channels import FixedChannels

if TYPE_CHECKING:
    from narrower.export.onnx_builder import OnnxBuilder


class FixedChannelsExpression:
    """For weights alone."""

    def refusal(self, _number_format: FixedChannels, artefact: Artefact) -> str | None:
        if artefact == "safetensors":
            return None
        return "its fractions are those of a weight's channels; data have one"

    def linear(self, _number_format: FixedChannels) -> None:
        return None

    def onnx(self, _builder: "OnnxBuilder", _value: str, _number_format: FixedChannels) -> str:
        raise AssertionError("refused before")

    def qonnx(self, _number_format: FixedChannels) -> None:
        raise AssertionError("refused before")
