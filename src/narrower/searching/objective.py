"""What a search wants: metrics with a direction and a scale, and bounds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray

from narrower.tasks.catalogue import TASKS, metrics_of, task_metrics
from narrower.tasks.task import Direction

# Measured on data; computed from network and plan; measured on what a plan is exported to; computed from the
# untrained network.
Kind = Literal["quality", "cost", "artefact", "proxy"]


@dataclass(frozen=True, slots=True)
class Metric:
    """A number that a plan has."""

    name: str
    description: str
    direction: Direction
    kind: Kind
    unit: str = ""

    @property
    def is_quality(self) -> bool:
        """Whether it says how well a plan does: measured on data, or foretold."""
        return self.kind in ("quality", "proxy")


COSTS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("average_bitwidth", "mean width of the products' weights", "minimize", "cost", "bits"),
        Metric("memory_density", "32 over the average bit width", "maximize", "cost"),
        Metric("bitops", "multiply-accumulates x weight bits x data bits", "minimize", "cost", "per sample"),
        Metric("macs", "multiply-accumulates", "minimize", "cost", "per sample"),
        Metric("flops", "floating-point operations", "minimize", "cost", "per sample"),
        Metric("model_size", "parameters, each at its own width", "minimize", "cost", "bytes"),
        Metric("energy", "multiply-accumulates in 45 nm, estimated", "minimize", "cost", "pJ per sample"),
        Metric("latency", "one call of the exported ONNX in ONNX Runtime", "minimize", "artefact", "us"),
        Metric("luts", "look-up tables of an FPGA, by da4ml", "minimize", "artefact"),
        Metric("registers", "flip-flops of logic with a clock", "minimize", "artefact"),
        Metric("latency_ns", "a sample through logic with a clock", "minimize", "artefact", "ns"),
        Metric("ebops", "data bits x bits that each weight needs", "minimize", "artefact"),
        Metric("flash_bytes", "code and constants of the exported C", "minimize", "artefact", "bytes"),
        Metric("ram_bytes", "static memory of the exported C", "minimize", "artefact", "bytes"),
        Metric("cycles", "instructions of the exported C, by a table", "minimize", "artefact", "per sample"),
    )
}
PROXIES: dict[str, Metric] = {
    name: Metric(name, f"of the untrained network, {said}", "maximize", "proxy")
    for name, said in {
        "synflow": "weights times gradients without data",
        "snip": "sizes of weights times gradients",
        "grasp": "what weights do to the flow of gradients",
        "fisher": "squares of activations times gradients",
        "grad_norm": "norms of gradients",
        "jacob_cov": "how differently samples change outputs",
        "naswot": "how differently samples switch activations on",
        "plain": "weights times gradients",
    }.items()
}
DEVICE_METRICS = ("flash_bytes", "ram_bytes", "cycles")
CLOCKED_METRICS = ("registers", "latency_ns")
ARTEFACT_METRICS = tuple(name for name, metric in COSTS.items() if metric.kind == "artefact")


def listed_metrics() -> dict[str, Metric]:
    """Every metric that there is, by name: those of tasks first."""
    qualities: dict[str, Metric] = {}
    for name, metric in task_metrics().items():
        said = "; ".join(
            other.description if other is metric else f"of a {task.words.name}, {other.description}"
            for task in TASKS.values()
            for other in metrics_of(task)
            if other.name == name
        )
        qualities[name] = Metric(name, said, metric.direction, "quality", metric.unit)
    return qualities | COSTS | PROXIES


def listed_metric(name: str) -> Metric | None:
    """What is listed of a metric; None for one of the user's own."""
    return listed_metrics().get(name)


def unit_of(name: str) -> str:
    """The unit of a metric; empty where it has none, or it is not known."""
    metric = listed_metric(name)
    return "" if metric is None else metric.unit


def is_quality(name: str) -> bool:
    """Whether a metric is measured on data; metrics of the user's own are."""
    metric = listed_metric(name)
    return metric is None or metric.is_quality


def is_cost(name: str) -> bool:
    """Whether a metric is computed from network and plan alone."""
    metric = listed_metric(name)
    return metric is not None and metric.kind == "cost"


@dataclass(frozen=True, slots=True)
class Objective:
    """A metric to improve; ``scale`` weighs it in the table and in a sum."""

    metric: str
    direction: Direction
    scale: float = 1.0

    @property
    def sign(self) -> int:
        """What the metric is multiplied with so that smaller is better."""
        return -1 if self.direction == "maximize" else 1


@dataclass(frozen=True, slots=True)
class Objectives:
    """Several objectives side by side, or one scaled sum.

    In the sum, a metric whose direction is not that of the sum is subtracted.
    """

    each: tuple[Objective, ...]
    sum_direction: Direction | None = None

    def losses(self, metrics: Mapping[str, float]) -> tuple[float, ...]:
        """What to minimise, from a plan's metrics."""
        if self.sum_direction is None:
            return tuple(o.sign * metrics[o.metric] for o in self.each)
        return (sum(o.sign * o.scale * metrics[o.metric] for o in self.each),)

    def losses_of_columns(self, metrics: Mapping[str, NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        """The same for the metrics [N] of many plans."""
        columns: Any = self.losses(metrics)  # type: ignore[arg-type]  # arithmetic is all that it takes
        found: tuple[NDArray[Any], ...] = columns
        return found

    @property
    def count(self) -> int:
        """How many losses there are."""
        return len(self.each) if self.sum_direction is None else 1

    def scaled(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """The objectives' metrics times their scales, as the result table shows them."""
        return {o.metric: o.scale * metrics[o.metric] for o in self.each}


@dataclass(frozen=True, slots=True)
class Constraint:
    """Bounds of a metric, both included."""

    metric: str
    minimum: float | None = None
    maximum: float | None = None

    def broken_by(self, value: float) -> str | None:
        """Why a value is not admitted, or None."""
        if self.minimum is not None and value < self.minimum:
            return f"{self.metric} below {self.minimum:g}"
        if self.maximum is not None and value > self.maximum:
            return f"{self.metric} above {self.maximum:g}"
        return None


def first_broken(constraints: Sequence[Constraint], metrics: Mapping[str, float]) -> str | None:
    """The first reason why these metrics are not admitted, among constraints on metrics that are known."""
    for constraint in constraints:
        if constraint.metric in metrics and (reason := constraint.broken_by(metrics[constraint.metric])):
            return reason
    return None
