"""Metrics that are measured on what a plan is exported to."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from narrower.errors import ExportError, NarrowerError
from narrower.graph.program import Program
from narrower.plan.plan import Plan
from narrower.searching.objective import DEVICE_METRICS
from narrower.study.problem import Problem
from narrower.tasks.classification.task import CLASSIFICATION

if TYPE_CHECKING:
    from narrower.export.device.costs import DeviceCosts
    from narrower.export.pipelined import Pipelined
    from narrower.export.plan_latency import LatencyMeter, PlanLatency

SCALE_SAMPLES = 1000  # whose outputs decide how finely logic rounds its own


@dataclass(frozen=True)
class Measured:
    """Values by metric, why others are missing, and the details of a latency."""

    values: Mapping[str, float] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    latency: Mapping[str, Any] | None = None


class Artefacts:
    """Measures the artefacts of one lowered program; equal ones are measured once."""

    def __init__(self, problem: Problem, program: Program) -> None:
        self._problem, self._program = problem, program
        self._float32_us: float | None = None
        self._of_device: dict[Plan, DeviceCosts] = {}
        self._of_clock: dict[Plan, Pipelined] = {}

    def measure(self, plan: Plan, metrics: Iterable[str]) -> Measured:
        """Some metrics of one plan; what cannot be had has a reason instead of a value."""
        values, reasons, details = {}, {}, None
        for metric in metrics:
            try:
                if metric == "latency":
                    latency = self._meter.measure(plan.formats)
                    values[metric], details = self._microseconds(latency), asdict(latency)
                elif metric in DEVICE_METRICS:
                    values[metric] = self._device(plan, metric)
                else:
                    values[metric] = LOGIC_METRICS[metric](self, plan)
            except NarrowerError as error:
                reasons[metric] = str(error)
        return Measured(values, reasons, details)

    @cached_property
    def _meter(self) -> "LatencyMeter":
        from narrower.export.plan_latency import LatencyMeter

        options = self._problem.options.latency
        return LatencyMeter(
            self._program,
            self._problem.part.arguments,
            batch_size=options.batch_size,
            threads=options.threads,
            limit_seconds=options.limit_seconds,
        )

    def _microseconds(self, latency: "PlanLatency") -> float:
        """The ratio to float32 times the time that float32 took at first.

        What else the machine does meets both sides of the ratio, so that plans can be compared.
        """
        if self._float32_us is None:
            self._float32_us = latency.float32_us
        return latency.ratio * self._float32_us

    def _device(self, plan: Plan, metric: str) -> float:
        """A cost of the C that would be written, which nobody compiles."""
        costs = self._of_device.get(plan.formats)
        if costs is None:
            from narrower.export.device.costs import device_costs
            from narrower.export.device.network import c_network

            options = self._problem.options.device
            network = c_network(self._program, plan.formats, "network", options.pack)
            self._of_device = {
                plan.formats: device_costs(network, options.processor)
            }  # the metrics of a plan
            costs = self._of_device[plan.formats]
        return float(getattr(costs, metric))

    def luts(self, plan: Plan) -> float:
        """Look-up tables, by da4ml's cost of the actual weights."""
        from narrower.export.luts import luts

        return luts(self._program, plan.formats, self._some_outputs(plan))

    def registers(self, plan: Plan) -> float:
        """Flip-flops of the logic at the clock of the settings."""
        return float(self._clocked(plan).registers)

    def latency_ns(self, plan: Plan) -> float:
        """Nanoseconds from a sample to its outputs at the clock of the settings."""
        return self._clocked(plan).latency_ns(self._problem.options.logic.clock_ns)

    def _clocked(self, plan: Plan) -> "Pipelined":
        from narrower.export.luts import clocked

        found = self._of_clock.get(plan.formats)
        if found is None:
            outputs, period = self._some_outputs(plan), self._problem.options.logic.clock_ns
            found = clocked(self._program, plan.formats, outputs, period)
            self._of_clock = {plan.formats: found}  # both metrics of a plan
        return found

    def _some_outputs(self, plan: Plan) -> NDArray[np.float32]:
        """Of samples that decide how finely the outputs of logic are rounded."""
        from narrower.export.own_outputs import own_outputs

        if self._problem.data.task != CLASSIFICATION:
            raise ExportError(
                "logic gives as many digits of its outputs as classes need to be told apart; "
                f"{self._problem.data.name} is a {self._problem.data.task.words.name}"
            )
        inputs = self._problem.part.first(min(SCALE_SAMPLES, len(self._problem.part))).arguments
        return own_outputs(self._program, plan.formats, inputs)

    def ebops(self, plan: Plan) -> float:
        """Effective bit operations of the actual weights."""
        from narrower.export.luts import ebops

        return float(ebops(self._program, plan.formats))


LOGIC_METRICS: dict[str, Callable[[Artefacts, Plan], float]] = {
    "luts": Artefacts.luts,
    "registers": Artefacts.registers,
    "latency_ns": Artefacts.latency_ns,
    "ebops": Artefacts.ebops,
}
