"""Edges, weights and biases in bytes as ONNX nodes."""

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from narrower.export.edge_bytes import ByteScale, ProductBytes
from narrower.export.onnx_builder import OnnxBuilder


def write_edge(builder: OnnxBuilder, value: str, stored: ByteScale) -> tuple[str, str]:
    """The bytes, and the numbers that they stand for; Clip cuts off where the range is narrower."""
    scale = builder.constant(np.float32(stored.scale), "scale")
    scaling = scale, builder.integers(np.array(stored.zero), TensorProto.UINT8, "zero_point")
    rounded = builder.emit("QuantizeLinear", value, *scaling)
    if stored.cuts:
        limits = (
            builder.integers(np.array(end), TensorProto.UINT8, "limit") for end in (stored.low, stored.high)
        )
        rounded = builder.emit("Clip", rounded, *limits)
    return rounded, builder.emit("DequantizeLinear", rounded, *scaling)


def hold_product(builder: OnnxBuilder, product: ProductBytes, label: str) -> list[str]:
    """The weight of an integer kernel, and its bias where it has one."""
    weight = product.weight
    found = [_held(builder, weight.integers, weight.scale, TensorProto.INT8, f"{label}.weight")]
    if product.bias is not None:
        assert product.bias_scale is not None
        found.append(_held(builder, product.bias, product.bias_scale, TensorProto.INT32, f"{label}.bias"))
    return found


def _held(
    builder: OnnxBuilder, integers: NDArray[np.int64], scale: NDArray[np.float32], data_type: int, label: str
) -> str:
    zeros = builder.integers(np.zeros(scale.shape, np.int64), data_type, "zero_point")
    inputs = builder.integers(integers, data_type, label), builder.constant(scale, "scale"), zeros
    if not scale.shape:
        return builder.emit("DequantizeLinear", *inputs, label=label)
    return builder.emit("DequantizeLinear", *inputs, label=label, axis=0)
