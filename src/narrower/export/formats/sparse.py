"""Sparse fixed point in artefacts: weights are written with their zeros."""

from typing import TYPE_CHECKING

from narrower.export.formats.expression import Artefact
from narrower.plan.formats.sparse import Sparse

if TYPE_CHECKING:
    from narrower.export.onnx_builder import OnnxBuilder


class SparseExpression:
    """For weights alone."""

    def refusal(self, _number_format: Sparse, artefact: Artefact) -> str | None:
        if artefact == "safetensors":
            return None
        return "which numbers are zero follows from the tensor; only weights can be sparse"

    def linear(self, _number_format: Sparse) -> None:
        return None

    def onnx(self, _builder: "OnnxBuilder", _value: str, _number_format: Sparse) -> str:
        raise AssertionError("refused before")

    def qonnx(self, _number_format: Sparse) -> None:
        raise AssertionError("refused before")
