"""Run an ONNX or QONNX file on samples: in ONNX Runtime, or node by node."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray

from narrower.data.arguments import Arguments, each_argument
from narrower.errors import ExportError, MissingExtraError

SAMPLES_AT_A_TIME = 512
HELD_ELEMENTS = 2**25  # of all intermediate values together; QONNX's executor keeps every one


def onnx_session(
    model: Path | bytes, *, optimised: bool = True, threads: int = 1, dump: Path | None = None
) -> onnxruntime.InferenceSession:
    """Open a file (or its content) in ONNX Runtime on the CPU.

    ``optimised`` is what it does unless told otherwise; ``dump`` receives the graph that it really runs.

    Raises:
        ExportError: the runtime refuses the model.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if optimised else levels.ORT_DISABLE_ALL
    if dump is not None:
        options.optimized_model_filepath = str(dump)
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime's own exception classes share no public base
        raise ExportError(f"ONNX Runtime refuses the model: {error}") from error


def run_onnx(path: Path, inputs: Arguments, *, optimised: bool = True) -> NDArray[np.float32]:
    """The outputs [N, ...] of an ONNX file in ONNX Runtime."""
    session = onnx_session(path, optimised=optimised)
    described = session.get_inputs()
    static = [each.shape[0] for each in described if isinstance(each.shape[0], int)]
    size = static[0] if static else SAMPLES_AT_A_TIME
    outputs = []
    for batch, count in _batches(inputs, size, is_padded=bool(static)):
        feed = {each.name: values for each, values in zip(described, batch, strict=True)}
        outputs.append(session.run(None, feed)[0][:count])
    return np.concatenate(outputs)


def run_qonnx(path: Path, inputs: Arguments) -> NDArray[np.float32]:
    """The outputs [N, ...] of a QONNX file in QONNX's own executor.

    The file's batch size is raised where its graph allows that: the executor opens a session for each node.

    Raises:
        MissingExtraError: qonnx is not installed.
    """
    try:
        from qonnx.core.modelwrapper import ModelWrapper
        from qonnx.core.onnx_exec import execute_onnx
        from qonnx.transformation.infer_shapes import InferShapes
    except ImportError as error:
        raise MissingExtraError("qonnx", "qonnx", "running QONNX models") from error
    model = onnx.load(path)
    names, output = [value.name for value in model.graph.input], model.graph.output[0].name
    if not any(node.op_type == "Expand" for node in model.graph.node):  # the batch is a constant of Expand
        shaped = ModelWrapper(_with_batch(model, 1)).transform(InferShapes())
        held = sum(_elements(value) for value in shaped.graph.value_info)
        size = max(1, min(len(each_argument(inputs)[0]), SAMPLES_AT_A_TIME, HELD_ELEMENTS // max(1, held)))
        model = _with_batch(model, size)
    wrapper: Any = ModelWrapper(model).transform(InferShapes())
    size = model.graph.input[0].type.tensor_type.shape.dim[0].dim_value
    outputs = []
    for batch, count in _batches(inputs, size, is_padded=True):
        feed = dict(zip(names, batch, strict=True))
        outputs.append(execute_onnx(wrapper, feed)[output][:count])
    return np.concatenate(outputs)


def _batches(inputs: Arguments, size: int, *, is_padded: bool) -> Iterator[tuple[list[NDArray[Any]], int]]:
    for batch in zip(*(torch.split(each, size) for each in each_argument(inputs)), strict=True):
        count = len(batch[0])
        missing = size - count if is_padded else 0
        whole = [torch.cat([each, each[:1].expand(missing, *each.shape[1:])]) for each in batch]
        yield [each.contiguous().numpy() for each in whole], count


def _with_batch(model: onnx.ModelProto, size: int) -> onnx.ModelProto:
    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    del copied.graph.value_info[:]
    for value in (*copied.graph.input, *copied.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = size
    return copied


def _elements(value: onnx.ValueInfoProto) -> int:
    return int(np.prod([dimension.dim_value for dimension in value.type.tensor_type.shape.dim]))
