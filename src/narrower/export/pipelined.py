"""Logic in stages with registers between them: a new sample enters at every clock."""

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from narrower.errors import ExportError

if TYPE_CHECKING:
    from da4ml.types import CombLogic, Pipeline

EVEN = 1.0001  # so that the last adder of a stage does not begin the next
ADDER_NS = 1.0  # what da4ml's own command line allows for: stages of 5 adders at 5 ns


@dataclass(frozen=True)
class Pipelined:
    """Stages of logic. A sample's outputs are there ``cycles`` clocks after it came.

    ``registers`` are flip-flops: those before each stage and those of the outputs.
    """

    logic: "Pipeline"
    cycles: int
    registers: int

    @property
    def stages(self) -> int:
        """How many there are."""
        return len(self.logic.solutions)

    def latency_ns(self, clock_ns: float) -> float:
        """From a sample to its outputs, at a clock of so many nanoseconds."""
        return self.cycles * clock_ns


@dataclass(frozen=True, slots=True)
class Clock:
    """How logic is cut into stages: into so many, or into as few as a period allows; neither: no clock."""

    stages: int = 0
    period_ns: float = 0.0

    def cut(self, logic: "CombLogic") -> Pipelined | None:
        """The stages of logic; None: it has no clock.

        Raises:
            ExportError: both are given, or the logic cannot be cut so.
        """
        if self.stages and self.period_ns:
            raise ExportError("--pipeline and --clock-ns both say how logic is cut into stages: give one")
        if self.period_ns:
            return within(logic, self.period_ns)
        return pipelined(logic, self.stages) if self.stages else None


NO_CLOCK = Clock()


def within(logic: "CombLogic", period_ns: float) -> Pipelined:
    """Cut logic into as few stages as a clock period allows, with ``ADDER_NS`` for each adder in a row.

    Raises:
        ExportError: the period is shorter than one adder takes.
    """
    adders = int(period_ns / ADDER_NS)
    if adders < 1:
        raise ExportError(
            f"--clock-ns {period_ns:g}: an adder is taken for {ADDER_NS:g} ns; allowed: {ADDER_NS:g} and more"
        )
    return pipelined(logic, max(1, ceil(_depth(logic) / adders)))


def _depth(logic: "CombLogic") -> float:
    return max((logic.ops[i].latency for i in logic.out_idxs if i >= 0), default=0.0)


def pipelined(logic: "CombLogic", stages: int) -> Pipelined:
    """Cut logic into so many stages of about equal depth in adders.

    Raises:
        ExportError: it is not so deep.
    """
    from da4ml.trace.pipeline import to_pipeline

    depth = _depth(logic)
    most = int(depth) + 1
    if not 1 <= stages <= most:
        raise ExportError(
            f"--pipeline {stages}: the logic is {int(depth)} adders deep; allowed: 1 to {most} stages"
        )
    made = to_pipeline(
        logic, depth / stages * EVEN if stages > 1 else depth + 1, retiming=False, verbose=False
    )
    return Pipelined(made, len(made.solutions) + 1, int(made.reg_bits))
