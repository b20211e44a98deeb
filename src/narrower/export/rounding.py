"""How an artefact rounds the operands of a product: what every dialect of ONNX must be able to write."""

from typing import Literal, Protocol, runtime_checkable

from torch import Tensor

from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.plan import LayerPlan

Packing = Literal["speed", "size"]
# Where a product is computed: in integers, in float32 with constants that the runtime unpacks as it loads the
# file, or wherever the runtime finds a way.
Kernel = Literal["integer", "float32", "any"]
# How data are rounded: into the narrowest signed container, into unsigned bytes (of values that are positive,
# or that may be anything), or by arithmetic in float32.
Form = Literal["container", "positive bytes", "bytes", "float32"]


@runtime_checkable
class Rounding(Protocol):
    """Writes operands into a graph, each through its number format."""

    def data(self, value: str, number_format: NumberFormat, form: Form = "container") -> str:
        """A computed value, rounded."""

    def weight(
        self,
        values: Tensor,
        number_format: NumberFormat,
        *,
        kernel: Kernel,
        label: str,
        transposed: bool = False,
    ) -> str:
        """A constant operand, rounded as it is, and then transposed where that is asked for."""

    def bias(self, values: Tensor, layer: LayerPlan, *, label: str) -> str:
        """A rounded bias that is an operand of its product."""

    def add_bias(self, product: str, bias: Tensor, layer: LayerPlan, label: str) -> str:
        """A product plus its rounded bias."""
