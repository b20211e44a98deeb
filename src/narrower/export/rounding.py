"""How an artefact rounds the operands of a product: QDQ pairs for ONNX Runtime, Quant nodes for QONNX."""

from typing import Literal, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import TensorProto
from torch import Tensor

from narrower.errors import ExportError
from narrower.export.onnx_builder import OnnxBuilder
from narrower.formats.fixed import FixedPoint
from narrower.formats.float32 import Float32
from narrower.formats.number_format import NumberFormat
from narrower.plan import LayerPlan
from narrower.quantizers.quantize import quantize

Packing = Literal["speed", "size"]
# Where a product is computed: in integers, in float32 with constants that the runtime unpacks as it loads the
# file, or wherever the runtime finds a way.
Kernel = Literal["integer", "float32", "any"]
# How data are rounded: into the narrowest signed container, into unsigned bytes (of values that are positive,
# or that may be anything), or by arithmetic in float32.
Form = Literal["container", "positive bytes", "bytes", "float32"]
QONNX_DOMAIN = "qonnx.custom_op.general"
# Container by whether it is signed: (bits it has, ONNX type), the narrowest first.
CONTAINERS: dict[bool, tuple[tuple[int, int], ...]] = {
    True: ((4, TensorProto.INT4), (8, TensorProto.INT8), (16, TensorProto.INT16)),
    False: ((4, TensorProto.UINT4), (8, TensorProto.UINT8), (16, TensorProto.UINT16)),
}
INT32_LIMIT = 2**31
BYTE = 8
BYTE_LIMITS = (0, 255)


@runtime_checkable
class Rounding(Protocol):
    """Writes operands into a graph, each through its number format."""

    def data(self, value: str, number_format: NumberFormat, form: Form = "container") -> str:
        """A computed value, rounded."""

    def weight(self, values: Tensor, number_format: NumberFormat, *, kernel: Kernel, label: str) -> str:
        """A constant operand, rounded."""

    def bias(self, values: Tensor, layer: LayerPlan, *, label: str) -> str:
        """A rounded bias that is an operand of its product."""

    def add_bias(self, product: str, bias: Tensor, layer: LayerPlan, label: str) -> str:
        """A product plus its rounded bias."""


def whole_numbers(values: Tensor, number_format: FixedPoint) -> NDArray[np.int64]:
    """The integers that stand for rounded values, in steps of the format."""
    scaled = quantize(values.detach().float(), number_format).double() * 2.0**number_format.frac
    return np.asarray(scaled.round().to(torch.int64).numpy())


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
        if isinstance(number_format, Float32):
            return value
        key = (value, number_format, form)
        if key not in self._rounded:
            self._rounded[key] = self._round(value, _fixed(number_format), form)
        return self._rounded[key]

    def _round(self, value: str, number_format: FixedPoint, form: Form) -> str:
        emit, constant = self._builder.emit, self._builder.constant
        low, high = number_format.integer_range
        container = _container(number_format, smallest=8)
        if container is None or form == "float32":
            scaled = emit("Mul", value, constant(np.float32(2.0**number_format.frac)))
            whole = emit("Clip", emit("Round", scaled), constant(np.float32(low)), constant(np.float32(high)))
            return emit("Mul", whole, constant(np.float32(number_format.step)))
        bits, data_type = container
        if form != "container" and bits == BYTE:
            return self._byte(value, number_format, positive=form == "positive bytes")
        if bits != number_format.width:
            step = number_format.step
            value = emit("Clip", value, constant(np.float32(low * step)), constant(np.float32(high * step)))
        scale, zero = self._grid(number_format.frac, data_type)
        return emit("DequantizeLinear", emit("QuantizeLinear", value, scale, zero), scale, zero)

    def _byte(self, value: str, number_format: FixedPoint, *, positive: bool) -> str:
        """Clipped as bytes: an integer kernel before it ends with QuantizeLinear."""
        emit, integers = self._builder.emit, self._builder.integers
        low, high, zero = byte_range(number_format, positive=positive)
        grid = self._grid(number_format.frac, TensorProto.UINT8, zero)
        rounded = emit("QuantizeLinear", value, *grid)
        if (low, high) != BYTE_LIMITS:
            limits = [integers(np.array(limit), TensorProto.UINT8, "limit") for limit in (low, high)]
            rounded = emit("Clip", rounded, *limits)
        return emit("DequantizeLinear", rounded, *grid)

    def weight(self, values: Tensor, number_format: NumberFormat, *, kernel: Kernel, label: str) -> str:
        """DequantizeLinear of integers, or float32 where there is no container."""
        if isinstance(number_format, Float32):
            return self._builder.constant(values.detach().float().numpy(), label)
        number_format = _fixed(number_format)
        is_fast = self._packing == "speed"
        container = _container(number_format, smallest=8 if is_fast and kernel != "any" else 4)
        if container is None:
            return self._builder.constant(quantize(values.detach().float(), number_format).numpy(), label)
        data_type = container[1]
        integers = self._builder.integers(whole_numbers(values, number_format), data_type, label)
        if kernel == "float32":
            return self._unpacked(integers, number_format.frac)
        return self._builder.emit(
            "DequantizeLinear", integers, *self._grid(number_format.frac, data_type), label=label
        )

    def add_bias(self, product: str, bias: Tensor, layer: LayerPlan, label: str) -> str:
        """Add a bias on the grid of the product as int32; any other as float32.

        A bias off the grid of a rounded product is subtracted with its sign turned, which is the same number:
        ONNX Runtime would move an added one to the grid (its optimisation WeightBiasQuantization) or start
        its float32 sum with it.
        """
        builder, frac = self._builder, product_fraction(layer)
        if frac is not None and isinstance(layer.bias, FixedPoint) and layer.bias.frac <= frac:
            on_grid = whole_numbers(bias, layer.bias) << (frac - layer.bias.frac)
            if np.abs(on_grid).max(initial=0) < INT32_LIMIT:
                scale, zero = self._grid(frac, TensorProto.INT32)
                integers = builder.integers(on_grid, TensorProto.INT32, label)
                return builder.emit("Add", product, builder.emit("DequantizeLinear", integers, scale, zero))
        rounded = quantize(bias.detach().float(), layer.bias).numpy()
        if isinstance(layer.weight, Float32):
            return builder.emit("Add", product, builder.constant(rounded, label))
        return builder.emit("Sub", product, builder.constant(-rounded, label))

    def bias(self, values: Tensor, layer: LayerPlan, *, label: str) -> str:
        """Whole numbers on the grid of the product, which must hold them."""
        frac = product_fraction(layer)
        assert frac is not None
        on_grid = whole_numbers(values, _fixed(layer.bias)) << (frac - _fixed(layer.bias).frac)
        integers = self._builder.integers(on_grid, TensorProto.INT32, label)
        return self._builder.emit("DequantizeLinear", integers, *self._grid(frac, TensorProto.INT32))

    def _unpacked(self, integers: str, frac: int) -> str:
        """Constants that ONNX Runtime computes once, when it loads the file; DequantizeLinear it repeats."""
        numbers = self._builder.emit("Cast", integers, to=TensorProto.FLOAT)
        return self._builder.emit("Mul", numbers, self._builder.constant(np.float32(2.0**-frac), "scale"))

    def _grid(self, frac: int, data_type: int, zero: int = 0) -> tuple[str, str]:
        held = self._builder.integers(np.array(zero), data_type, "zero_point")
        return self._builder.constant(np.float32(2.0**-frac), "scale"), held


class QuantRounding:
    """QONNX's Quant nodes, on values and on float32 weights; hls4ml and FINN read them."""

    def __init__(self, builder: OnnxBuilder) -> None:
        self._builder = builder
        self._rounded: dict[tuple[str, NumberFormat], str] = {}

    def data(self, value: str, number_format: NumberFormat, form: Form = "container") -> str:
        """One Quant node for each value and format."""
        del form
        if isinstance(number_format, Float32):
            return value
        key = (value, number_format)
        if key not in self._rounded:
            self._rounded[key] = self._quant(value, _fixed(number_format))
        return self._rounded[key]

    def _quant(self, value: str, number_format: FixedPoint) -> str:
        if number_format.signed and number_format.width == 1:
            raise ExportError(
                f"QONNX reads one signed bit as -1 or 1, {number_format.text} is -1 or 0 steps; "
                "2 bits and more can be expressed"
            )
        constant = self._builder.constant
        return self._builder.emit(
            "Quant",
            value,
            constant(np.float32(number_format.step), "scale"),
            constant(np.float32(0), "zero_point"),
            constant(np.float32(number_format.width), "bit_width"),
            domain=QONNX_DOMAIN,
            signed=int(number_format.signed),
            narrow=0,
            rounding_mode="ROUND",
        )

    def weight(self, values: Tensor, number_format: NumberFormat, *, kernel: Kernel, label: str) -> str:
        """A Quant node over the weight."""
        del kernel
        return self._held(values, number_format, label)

    def add_bias(self, product: str, bias: Tensor, layer: LayerPlan, label: str) -> str:
        """Add the bias behind its Quant node."""
        return self._builder.emit("Add", product, self._held(bias, layer.bias, label))

    def bias(self, values: Tensor, layer: LayerPlan, *, label: str) -> str:
        """A Quant node over the bias."""
        return self._held(values, layer.bias, label)

    def _held(self, values: Tensor, number_format: NumberFormat, label: str) -> str:
        """A Quant node over a constant that is rounded already.

        Where it joins biases with batch norms, hls4ml 1.3 reads the constant and not the node's output.
        """
        rounded = quantize(values.detach().float(), number_format)
        return self.data(self._builder.constant(rounded.numpy(), label), number_format)


def byte_range(number_format: FixedPoint, *, positive: bool) -> tuple[int, int, int]:
    """Smallest and largest byte that stand for a format's values, and the byte that stands for zero."""
    low, high = number_format.integer_range
    zero = 128 if low < 0 and not positive else 0
    return max(low + zero, 0), high + zero, zero


def product_fraction(layer: LayerPlan) -> int | None:
    """Fraction bits of a layer's exact products; None where an operand is not fixed point."""
    if isinstance(layer.data, FixedPoint) and isinstance(layer.weight, FixedPoint):
        return layer.data.frac + layer.weight.frac
    return None


def has_container(number_format: NumberFormat) -> bool:
    """Whether a format's numbers are held as integers."""
    return isinstance(number_format, FixedPoint) and number_format.width <= CONTAINERS[True][-1][0]


def _container(number_format: FixedPoint, smallest: int) -> tuple[int, int] | None:
    fitting = (
        (bits, data_type)
        for bits, data_type in CONTAINERS[number_format.signed]
        if bits >= max(smallest, number_format.width)
    )
    return next(fitting, None)


def _fixed(number_format: NumberFormat) -> FixedPoint:
    if not isinstance(number_format, FixedPoint):
        raise ExportError(f"no rule exports numbers in the format {number_format.text}; allowed: fixed point")
    return number_format
