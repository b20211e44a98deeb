"""How long a plan takes in ONNX Runtime, beside float32 in the same minutes."""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor, sqrt
from pathlib import Path
from statistics import median

import onnx
import onnxruntime

from narrower.cost.read_formats import ReadFormats
from narrower.data.arguments import Arguments, each_argument
from narrower.export.execute import onnx_session
from narrower.export.latency import repeated
from narrower.export.onnx_model import to_onnx
from narrower.graph.edges import edges_of
from narrower.graph.network import Network
from narrower.graph.program import Program
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.plan import Plan

INTERVAL = 0.05  # width of the 95 % interval of the median ratio at which measuring ends
LIMIT_SECONDS = 20.0
WARM_UP_SECONDS = 0.2
LEAST_PAIRS = 50
LEAST_SECONDS = 4.0  # neighbours on a shared machine come and go within less
PIECE_SECONDS = 5e-4  # a timed piece is as many calls as take this long
# What ONNX Runtime calls the kernels that multiply in integers.
INTEGER_KERNELS = frozenset(
    {"QGemm", "QLinearMatMul", "MatMulIntegerToFloat", "MatMulInteger", "QLinearConv", "ConvInteger"}
)


@dataclass(frozen=True, slots=True)
class LayerKernel:
    """Where one rounded layer is computed; ``kernel`` None: there is none for it, it runs in float32."""

    layer: str
    data_bits: float
    weight_bits: float
    kernel: str | None


@dataclass(frozen=True, slots=True)
class PlanLatency:
    """A plan's latency and that of float32, in microseconds a call.

    ``ratio`` is the median of the plan's time over float32's in pairs of neighbouring pieces: below 1 the
    plan is faster. ``ratio_low`` and ``ratio_high`` are its 95 % interval; ``settled`` says whether that
    became narrower than 5 % of the ratio before the time limit.
    """

    batch_size: int
    threads: int
    pairs: int
    median_us: float
    float32_us: float
    ratio: float
    ratio_low: float
    ratio_high: float
    settled: bool
    kernels: tuple[LayerKernel, ...]

    @property
    def is_slower(self) -> bool:
        """Whether float32 is surely faster."""
        return self.ratio_low > 1

    @property
    def without_kernel(self) -> tuple[str, ...]:
        """Rounded layers that ONNX Runtime computes in float32, with their widths."""
        return tuple(
            f"{k.layer} ({k.data_bits} x {k.weight_bits} bits)" for k in self.kernels if k.kernel is None
        )


class LatencyMeter:
    """Measures plans of one program; plans whose ONNX graphs differ in constants alone are measured once."""

    def __init__(
        self,
        program: Program,
        inputs: Arguments,
        *,
        batch_size: int = 1,
        threads: int = 1,
        limit_seconds: float = LIMIT_SECONDS,
    ) -> None:
        """``program`` is lowered; ``inputs`` are samples to run, repeated where there are too few."""
        self._program = program
        self._batch_size = batch_size
        self._batch = [repeated(each, batch_size).numpy() for each in each_argument(inputs)]
        self._threads = threads
        self._limit = limit_seconds
        self._float32 = self._call(to_onnx(program, Plan(), batch_size=batch_size))[0]
        self._measured: dict[str, PlanLatency] = {}

    def measure(self, plan: Plan) -> PlanLatency:
        """The latency of one plan.

        Raises:
            ExportError: the plan cannot be expressed in ONNX.
        """
        model = to_onnx(self._program, plan, batch_size=self._batch_size)
        key = structure(model)
        if key not in self._measured:
            call, run = self._call(model)
            self._measured[key] = self._time(call, _kernels(self._program.network, plan, run))
        return self._measured[key]

    def _call(self, model: onnx.ModelProto) -> tuple[Callable[[], object], onnx.ModelProto]:
        with tempfile.TemporaryDirectory() as directory:
            dump = Path(directory) / "run.onnx"
            content = model.SerializeToString()
            onnx_session(content, threads=self._threads, dump=dump)
            run = onnx.load(dump)
        session: onnxruntime.InferenceSession = onnx_session(content, threads=self._threads)
        names = [value.name for value in session.get_inputs()]
        feed = dict(zip(names, self._batch, strict=True))
        return lambda: session.run(None, feed), run

    def _time(self, call: Callable[[], object], kernels: tuple[LayerKernel, ...]) -> PlanLatency:
        calls = (call, self._float32)
        # One thread has a clock of its own, which stands still while other processes run.
        clock = time.thread_time if self._threads == 1 else time.perf_counter
        counts = [_calls_in_a_piece(each) for each in calls]
        times: list[tuple[float, float]] = []
        start = time.perf_counter()
        settled = False
        while not settled and (time.perf_counter() < start + self._limit or len(times) < LEAST_PAIRS):
            ours, theirs = (_seconds(each, count, clock) for each, count in zip(calls, counts, strict=True))
            times.append((ours, theirs))
            if len(times) % LEAST_PAIRS == 0 and time.perf_counter() > start + LEAST_SECONDS:
                low, high = median_interval([a / b for a, b in times])
                settled = high - low <= INTERVAL * median(a / b for a, b in times)
        ratios = [a / b for a, b in times]
        low, high = median_interval(ratios)
        return PlanLatency(
            batch_size=self._batch_size,
            threads=self._threads,
            pairs=len(times),
            median_us=median(ours for ours, _ in times) * 1e6,
            float32_us=median(theirs for _, theirs in times) * 1e6,
            ratio=median(ratios),
            ratio_low=low,
            ratio_high=high,
            settled=settled,
            kernels=kernels,
        )


def measure_latency(
    program: Program,
    plan: Plan,
    inputs: Arguments,
    *,
    batch_size: int = 1,
    threads: int = 1,
    limit_seconds: float = LIMIT_SECONDS,
) -> PlanLatency:
    """Time a plan of a lowered program in ONNX Runtime, called in turn with float32, after a warm-up.

    Raises:
        ExportError: the plan cannot be expressed in ONNX.
    """
    meter = LatencyMeter(program, inputs, batch_size=batch_size, threads=threads, limit_seconds=limit_seconds)
    return meter.measure(plan)


def median_interval(values: Sequence[float]) -> tuple[float, float]:
    """95 % interval of the median from order statistics: no shape of the distribution is assumed."""
    ordered = sorted(values)
    reach = 1.96 * sqrt(len(ordered)) / 2
    low = max(0, floor(len(ordered) / 2 - reach))
    high = min(len(ordered) - 1, ceil(len(ordered) / 2 + reach))
    return ordered[low], ordered[high]


def structure(model: onnx.ModelProto) -> str:
    """What decides a model's speed: its operators, and the types and shapes of its constants."""
    held = {t.name: f"{t.data_type}{list(t.dims)}" for t in model.graph.initializer}
    numbers: dict[str, str] = {}
    lines = []
    for node in model.graph.node:
        inputs = [held.get(name) or numbers.setdefault(name, f"#{len(numbers)}") for name in node.input]
        for name in node.output:
            numbers.setdefault(name, f"#{len(numbers)}")
        attributes = sorted(str(attribute) for attribute in node.attribute)
        lines.append(f"{node.op_type}({inputs}){attributes}")
    return "\n".join(lines)


def _kernels(network: Network, plan: Plan, run: onnx.ModelProto) -> tuple[LayerKernel, ...]:
    """Where each rounded layer is computed, by the graph that the runtime really runs."""
    used: dict[str, str] = {}
    for node in run.graph.node:
        if node.op_type in INTEGER_KERNELS:
            for name in node.input:
                used[name.rsplit("_", 1)[0]] = node.op_type
    formats, found = ReadFormats(network, edges_of(network), plan), []
    layers = dict(plan.layers)
    for layer in (name for name in layers if name in network.product_layers):
        (operator, *_) = network.product_layers[layer]
        data = formats.operands(operator)[0].first
        if (data, layers[layer].weight) != (FLOAT32, FLOAT32):
            kernel = used.get(f"{layer}.weight".replace(".", "_"))
            found.append(LayerKernel(layer, data.bits, layers[layer].weight.bits, kernel))
    return tuple(found)


def _calls_in_a_piece(call: Callable[[], object]) -> int:
    """Warm up, and see how many calls fill a piece."""
    end, count = time.perf_counter() + WARM_UP_SECONDS, 0
    start = time.perf_counter()
    while time.perf_counter() < end:
        call()
        count += 1
    return max(1, round(PIECE_SECONDS * count / (time.perf_counter() - start)))


def _seconds(call: Callable[[], object], count: int, clock: Callable[[], float]) -> float:
    """Seconds of one call, the mean over a piece."""
    start = clock()
    for _ in range(count):
        call()
    return (clock() - start) / count
