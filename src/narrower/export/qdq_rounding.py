"""How operands are rounded in ONNX: QuantizeLinear and DequantizeLinear, or arithmetic in float32."""

import numpy as np
from onnx import TensorProto
from torch import Tensor

from narrower.export.formats.catalogue import expression_of
from narrower.export.integers import (
    BYTE,
    BYTE_LIMITS,
    INT32_LIMIT,
    byte_range,
    container,
    container_limits,
    product_fraction,
    whole_numbers,
)
from narrower.export.onnx_builder import OnnxBuilder
from narrower.export.rounding import Form, Kernel, Packing
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.formats.grid import Grid
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.plan import LayerPlan
from narrower.transform.quantizers.quantize import quantize


class QdqRounding:
    """QuantizeLinear and DequantizeLinear with the scale 2**-frac and the zero point 0.

    Widths other than that of their container are cut by a Clip before QuantizeLinear; widths above 16, which
    have no container, are rounded by Mul, Round and Clip. Weights that are multiplied in integers take a
    whole byte with the packing "speed", because ONNX Runtime has no integer kernel for 4 bits.
    """

    def __init__(self, builder: OnnxBuilder, packing: Packing = "speed") -> None:
        self._builder = builder
        self._packing = packing
        self._rounded: dict[tuple[str, NumberFormat, Form], str] = {}

    def data(self, value: str, number_format: NumberFormat, form: Form = "container") -> str:
        """Clip, QuantizeLinear, DequantizeLinear; once for each value and format."""
        key = (value, number_format, form)
        if key not in self._rounded:
            self._rounded[key] = self._round(value, number_format, form)
        return self._rounded[key]

    def of_value(self, value: str) -> list[tuple[NumberFormat, str]]:
        """The formats that a value is rounded into as data, and what each gives; where that is only one."""
        found: dict[NumberFormat, list[str]] = {}
        for (source, number_format, _), rounded in self._rounded.items():
            if source == value:
                found.setdefault(number_format, []).append(rounded)
        return [(number_format, names[0]) for number_format, names in found.items() if len(names) == 1]

    def _round(self, value: str, number_format: NumberFormat, form: Form) -> str:
        emit, constant = self._builder.emit, self._builder.constant
        expression = expression_of(number_format, "onnx")
        grid = expression.linear(number_format)
        held = None if grid is None else container(grid, smallest=8)
        if grid is None or held is None or form == "float32":
            return expression.onnx(self._builder, value, number_format)
        bits, data_type = held
        if form != "container" and bits == BYTE:
            return self._byte(value, grid, positive=form == "positive bytes")
        if grid.limits != container_limits(bits, signed=grid.signed):
            low, high = (constant(np.float32(limit * grid.step)) for limit in grid.limits)
            value = emit("Clip", value, low, high)
        scale, zero = self._grid(grid.frac, data_type)
        return emit("DequantizeLinear", emit("QuantizeLinear", value, scale, zero), scale, zero)

    def _byte(self, value: str, grid: Grid, *, positive: bool) -> str:
        """Clipped as bytes: an integer kernel before it ends with QuantizeLinear."""
        emit, integers = self._builder.emit, self._builder.integers
        low, high, zero = byte_range(grid, positive=positive)
        scaling = self._grid(grid.frac, TensorProto.UINT8, zero)
        rounded = emit("QuantizeLinear", value, *scaling)
        if (low, high) != BYTE_LIMITS:
            limits = [integers(np.array(limit), TensorProto.UINT8, "limit") for limit in (low, high)]
            rounded = emit("Clip", rounded, *limits)
        return emit("DequantizeLinear", rounded, *scaling)

    def weight(
        self,
        values: Tensor,
        number_format: NumberFormat,
        *,
        kernel: Kernel,
        label: str,
        transposed: bool = False,
    ) -> str:
        """DequantizeLinear of integers, or float32 where there is no container."""
        grid = number_format.grid
        is_fast = self._packing == "speed"
        held = None if grid is None else container(grid, smallest=8 if is_fast and kernel != "any" else 4)
        if grid is None or held is None:
            rounded = quantize(values.detach().float(), number_format)
            return self._builder.constant((rounded.t() if transposed else rounded).numpy(), label)
        data_type = held[1]
        whole = whole_numbers(values, number_format)  # as it is: which numbers are zero may depend on an axis
        integers = self._builder.integers(whole.T if transposed else whole, data_type, label)
        if kernel == "float32":
            return self._unpacked(integers, grid.frac)
        return self._builder.emit(
            "DequantizeLinear", integers, *self._grid(grid.frac, data_type), label=label
        )

    def add_bias(self, product: str, bias: Tensor, layer: LayerPlan, label: str) -> str:
        """Add a bias on the grid of the product as int32; any other as float32.

        A bias off the grid of a rounded product is subtracted with its sign turned, which is the same number:
        ONNX Runtime would move an added one to the grid (its optimisation WeightBiasQuantization) or start
        its float32 sum with it.
        """
        builder, frac, grid = self._builder, product_fraction(layer), layer.bias.grid
        if frac is not None and grid is not None and grid.frac <= frac:
            on_grid = whole_numbers(bias, layer.bias) << (frac - grid.frac)
            if np.abs(on_grid).max(initial=0) < INT32_LIMIT:
                scale, zero = self._grid(frac, TensorProto.INT32)
                integers = builder.integers(on_grid, TensorProto.INT32, label)
                return builder.emit("Add", product, builder.emit("DequantizeLinear", integers, scale, zero))
        rounded = quantize(bias.detach().float(), layer.bias).numpy()
        if layer.weight == FLOAT32:
            return builder.emit("Add", product, builder.constant(rounded, label))
        return builder.emit("Sub", product, builder.constant(-rounded, label))

    def bias(self, values: Tensor, layer: LayerPlan, *, label: str) -> str:
        """Whole numbers on the grid of the product, which must hold them."""
        frac, grid = product_fraction(layer), layer.bias.grid
        assert frac is not None
        assert grid is not None
        on_grid = whole_numbers(values, layer.bias) << (frac - grid.frac)
        integers = self._builder.integers(on_grid, TensorProto.INT32, label)
        return self._builder.emit("DequantizeLinear", integers, *self._grid(frac, TensorProto.INT32))

    def _unpacked(self, integers: str, frac: int) -> str:
        """Constants that ONNX Runtime computes once, when it loads the file; DequantizeLinear it repeats."""
        numbers = self._builder.emit("Cast", integers, to=TensorProto.FLOAT)
        return self._builder.emit("Mul", numbers, self._builder.constant(np.float32(2.0**-frac), "scale"))

    def _grid(self, frac: int, data_type: int, zero: int = 0) -> tuple[str, str]:
        held = self._builder.integers(np.array(zero), data_type, "zero_point")
        return self._builder.constant(np.float32(2.0**-frac), "scale"), held
