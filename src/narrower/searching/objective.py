"""What a search wants: metrics with a direction and a scale, and bounds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray

Direction = Literal["maximize", "minimize"]
# Measured on data; computed from network and plan; measured on what a plan is exported to.
Kind = Literal["quality", "cost", "artefact"]


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
        """Whether it is measured on data."""
        return self.kind == "quality"


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "share of samples whose highest score is their class", "maximize", "quality"),
        Metric("loss", "mean cross entropy", "minimize", "quality", "nats"),
        Metric("average_bitwidth", "mean width of the products' weights", "minimize", "cost", "bits"),
        Metric("memory_density", "32 over the average bit width", "maximize", "cost"),
        Metric("bitops", "multiply-accumulates x weight bits x data bits", "minimize", "cost", "per sample"),
        Metric("macs", "multiply-accumulates", "minimize", "cost", "per sample"),
        Metric("flops", "floating-point operations", "minimize", "cost", "per sample"),
        Metric("model_size", "parameters, each at its own width", "minimize", "cost", "bytes"),
        Metric("energy", "multiply-accumulates in 45 nm, estimated", "minimize", "cost", "pJ per sample"),
        Metric("latency", "one call of the exported ONNX in ONNX Runtime", "minimize", "artefact", "us"),
        Metric("luts", "look-up tables of an FPGA, by da4ml", "minimize", "artefact"),
        Metric("ebops", "data bits x bits that each weight needs", "minimize", "artefact"),
    )
}
ARTEFACT_METRICS = tuple(name for name, metric in METRICS.items() if metric.kind == "artefact")


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
