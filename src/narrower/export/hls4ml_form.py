"""QONNX as hls4ml takes it: channels last, biases within convolutions, MatMul in the place of Gemm."""

import warnings
from collections import Counter
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

MERGING = frozenset({"Add", "Sub", "Mul", "Div", "Quant"})
CHANNELS = 3  # axes of a batch of channels, at least


def hls4ml_form(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same network; inputs with channels have these at the end.

    qonnx moves channels to the end of constants that have an axis for the batch, and hls4ml 1.3 reads
    constants that have none. A bias that is added behind a convolution it takes for a factor of each pixel.
    """
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.transformation.channels_last import ConvertToChannelsLastAndClean
    from qonnx.transformation.gemm_to_matmul import GemmToMatMul
    from qonnx.util.cleanup import cleanup_model

    axes = len(model.graph.input[0].type.tensor_type.shape.dim)
    if axes < CHANNELS:
        return cleanup_model(cleanup_model(ModelWrapper(model)).transform(GemmToMatMul())).model
    model = onnx.ModelProto.FromString(model.SerializeToString())
    _move_biases(model.graph)
    _reshape_channels(model.graph, axes, (1, -1, *(1,) * (axes - 2)))
    wrapped: Any = cleanup_model(ModelWrapper(model))
    with warnings.catch_warnings(action="ignore"):  # a transposition that stays is right as well
        wrapped = wrapped.transform(ConvertToChannelsLastAndClean(make_input_channels_last=True))
    made: onnx.ModelProto = cleanup_model(wrapped.transform(GemmToMatMul())).model
    _reshape_channels(made.graph, axes, (-1,))
    return made


def _move_biases(graph: onnx.GraphProto) -> None:
    """Make constants that are added to the result of a convolution its third input."""
    made_by = {name: node for node in graph.node for name in node.output}
    held = {tensor.name: tensor for tensor in graph.initializer}
    reads = Counter(name for node in graph.node for name in node.input)
    for add in [node for node in graph.node if node.op_type == "Add"]:
        convolution, quant = (made_by.get(name) for name in add.input)
        constant = held.get(add.input[1] if quant is None else quant.input[0])
        if convolution is None or convolution.op_type != "Conv" or constant is None:
            continue
        if reads[add.input[0]] > 1 or len(convolution.input) > 2:  # noqa: PLR2004 - it has a bias
            continue
        flat = numpy_helper.to_array(constant).reshape(-1)
        constant.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(flat), constant.name))
        convolution.input.append(add.input[1])
        convolution.output[0] = add.output[0]
        graph.node.remove(add)
        if quant is not None:
            graph.node.remove(quant)
            graph.node.insert(0, quant)


def _reshape_channels(graph: onnx.GraphProto, axes: int, shape: tuple[int, ...]) -> None:
    """Give one shape to the constants with one number for each channel that are added or multiplied."""
    readers: dict[str, set[str]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, set()).add(node.op_type)
    sizes: dict[str, tuple[int, ...]] = {}
    for held in graph.initializer:
        values = numpy_helper.to_array(held)
        is_of_channels = values.ndim >= axes - 1 and values.size == max(values.shape)
        if is_of_channels and readers[held.name] <= MERGING:
            reshaped = np.ascontiguousarray(values.reshape(shape))
            held.CopyFrom(numpy_helper.from_array(reshaped, held.name))
            sizes[held.name] = reshaped.shape
    for node in graph.node:
        if node.op_type == "Quant" and node.input[0] in sizes:
            sizes[node.output[0]] = sizes[node.input[0]]
    for value in graph.value_info:
        if value.name in sizes:
            value.type.tensor_type.shape.ClearField("dim")
            for size in sizes[value.name]:
                value.type.tensor_type.shape.dim.add().dim_value = size
