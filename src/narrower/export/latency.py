"""How long a model takes where it runs: median, quartiles and tail of repeated calls."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from narrower.data.arguments import Arguments, each_argument
from narrower.errors import ExportError, require_extra

CALLS = 200
LIMIT_SECONDS = 5.0  # for each runtime and batch size
WARM_UP_CALLS = 20


@dataclass(frozen=True, slots=True)
class LatencyRow:
    """Latency of one runtime at one batch size, in microseconds a call.

    ``calls`` were timed after the warm-up, each with ``threads`` threads.
    """

    runtime: str
    batch_size: int
    threads: int
    calls: int
    median_us: float
    lower_quartile_us: float
    upper_quartile_us: float
    p99_us: float


def float_latency(
    model: nn.Module, inputs: Arguments, batch_sizes: Sequence[int], *, threads: int = 1
) -> tuple[LatencyRow, ...]:
    """Time ``model`` in float32, in eager PyTorch and in ONNX Runtime, on the first samples of ``inputs``.

    The two runtimes are called in turn, so that what else the machine does meets both.

    Raises:
        ExportError: PyTorch cannot express the model in ONNX.
    """
    arguments = each_argument(inputs)
    session = _session(model, arguments, threads)
    names = [value.name for value in session.get_inputs()]
    rows: list[LatencyRow] = []
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for batch_size in dict.fromkeys(batch_sizes):
            batch = [repeated(each, batch_size) for each in arguments]
            feed = {name: each.numpy() for name, each in zip(names, batch, strict=True)}
            calls: dict[str, Callable[[], object]] = {
                "PyTorch eager": lambda batch=batch: model(*batch),  # type: ignore[misc]
                "ONNX Runtime": lambda feed=feed: session.run(None, feed),  # type: ignore[misc]
            }
            with torch.inference_mode():
                times = _interleaved(list(calls.values()))
            rows += [
                _row(runtime, batch_size, threads, seconds)
                for runtime, seconds in zip(calls, times, strict=True)
            ]
    finally:
        torch.set_num_threads(before)
    return tuple(rows)


def repeated(samples: Tensor, count: int) -> Tensor:
    """So many samples, the same again where there are too few."""
    return torch.cat([samples] * -(-count // len(samples)))[:count].contiguous()


def _session(model: nn.Module, arguments: Sequence[Tensor], threads: int) -> onnxruntime.InferenceSession:
    require_extra("onnxscript", "latency", "a module's time in ONNX Runtime")
    model.eval()
    batch = torch.export.Dim("batch")
    try:
        program = torch.onnx.export(
            model,
            tuple(each[:2] for each in arguments),
            dynamo=True,
            verbose=False,
            dynamic_shapes=tuple({0: batch} for _ in arguments),
        )
        assert program is not None
        content = program.model_proto.SerializeToString()
    except Exception as error:
        raise ExportError(f"{type(model).__name__} cannot be expressed in ONNX: {error}") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _interleaved(calls: Sequence[Callable[[], object]]) -> list[list[float]]:
    """Seconds of each call, called in turn until there are enough or time is up."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(WARM_UP_CALLS):
        for call in calls:
            call()
    end = time.perf_counter() + LIMIT_SECONDS * len(calls)
    while len(times[0]) < CALLS and time.perf_counter() < end:
        for call, seconds in zip(calls, times, strict=True):
            start = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - start)
    return times


def _row(runtime: str, batch_size: int, threads: int, seconds: Sequence[float]) -> LatencyRow:
    lower, median, upper, p99 = (float(q) * 1e6 for q in np.percentile(seconds, (25, 50, 75, 99)))
    return LatencyRow(runtime, batch_size, threads, len(seconds), median, lower, upper, p99)
