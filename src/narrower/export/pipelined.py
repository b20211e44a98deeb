"""Logic in stages with registers between them: a new sample enters at every clock."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from narrower.errors import ExportError

if TYPE_CHECKING:
    from da4ml.types import CombLogic, Pipeline

EVEN = 1.0001  # so that the last adder of a stage does not begin the next


@dataclass(frozen=True)
class Pipelined:
    """Stages of logic. A sample's outputs are there ``cycles`` clocks after it came.

    ``registers`` are flip-flops: those before each stage and those of the outputs.
    """

    logic: "Pipeline"
    cycles: int
    registers: int


def pipelined(logic: "CombLogic", stages: int) -> Pipelined:
    """Cut logic into so many stages of about equal depth in adders.

    Raises:
        ExportError: it is not so deep.
    """
    from da4ml.trace.pipeline import to_pipeline

    depth = max((logic.ops[i].latency for i in logic.out_idxs if i >= 0), default=0.0)
    most = int(depth) + 1
    if not 1 <= stages <= most:
        raise ExportError(
            f"--pipeline {stages}: the logic is {int(depth)} adders deep; allowed: 1 to {most} stages"
        )
    made = to_pipeline(
        logic, depth / stages * EVEN if stages > 1 else depth + 1, retiming=False, verbose=False
    )
    return Pipelined(made, len(made.solutions) + 1, int(made.reg_bits))
