"""How operands are rounded in QONNX: Quant nodes, which hls4ml and FINN read."""

import numpy as np
from torch import Tensor

from narrower.export.formats.catalogue import expression_of
from narrower.export.formats.expression import QuantNode
from narrower.export.formats.fixed_each import on_one_grid, quantized_each
from narrower.export.onnx_builder import OnnxBuilder
from narrower.export.rounding import Form, Kernel
from narrower.plan.formats.fixed_each import FixedEach
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.plan import LayerPlan
from narrower.transform.quantizers.quantize import quantize

QONNX_DOMAIN = "qonnx.custom_op.general"


class QuantRounding:
    """QONNX's Quant nodes, on values and on float32 weights; hls4ml and FINN read them."""

    def __init__(self, builder: OnnxBuilder) -> None:
        self._builder = builder
        self._rounded: dict[tuple[str, NumberFormat], str] = {}

    def data(self, value: str, number_format: NumberFormat, form: Form = "container") -> str:
        """One Quant node for each value and format."""
        del form
        key = (value, number_format)
        if key not in self._rounded:
            expression = expression_of(number_format, "qonnx")
            if isinstance(number_format, FixedEach):
                self._rounded[key] = quantized_each(self._builder, value, number_format)
            else:
                node = expression.qonnx(number_format)
                self._rounded[key] = value if node is None else self._quant(value, node)
        return self._rounded[key]

    def _quant(self, value: str, node: QuantNode) -> str:
        constant = self._builder.constant
        return self._builder.emit(
            "Quant",
            value,
            constant(np.float32(node.scale), "scale"),
            constant(np.float32(0), "zero_point"),
            constant(np.float32(node.width), "bit_width"),
            domain=QONNX_DOMAIN,
            signed=int(node.signed),
            narrow=int(node.narrow),
            rounding_mode=node.rounding_mode,
        )

    def weight(
        self,
        values: Tensor,
        number_format: NumberFormat,
        *,
        kernel: Kernel,
        label: str,
        transposed: bool = False,
    ) -> str:
        """A Quant node over the weight."""
        del kernel
        return self._held(values, number_format, label, transposed=transposed)

    def add_bias(self, product: str, bias: Tensor, layer: LayerPlan, label: str) -> str:
        """Add the bias behind its Quant node."""
        return self._builder.emit("Add", product, self._held(bias, layer.bias, label))

    def bias(self, values: Tensor, layer: LayerPlan, *, label: str) -> str:
        """A Quant node over the bias."""
        return self._held(values, layer.bias, label)

    def _held(
        self, values: Tensor, number_format: NumberFormat, label: str, *, transposed: bool = False
    ) -> str:
        """A Quant node over a constant that is rounded already.

        Where it joins biases with batch norms, hls4ml 1.3 reads the constant and not the node's output.
        """
        values, number_format = on_one_grid(values, number_format)
        rounded = quantize(values.detach().float(), number_format)
        rounded = rounded.t() if transposed else rounded
        constant, grid = self._builder.constant(rounded.numpy(), label), number_format.grid
        if grid is None or (grid.signed and grid.width == 1):
            return self.data(constant, number_format)
        return self._quant(constant, QuantNode(grid.step, grid.width, grid.signed))
