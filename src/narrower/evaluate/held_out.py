"""What a plan comes to on several sets of samples together, each scored with weights of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from narrower.data.parts import Part
from narrower.evaluate.own_metric import OwnMetric
from narrower.evaluate.program_engine import ProgramEngine
from narrower.evaluate.sample_engine import is_finite
from narrower.graph.program import Program
from narrower.own_code.failures import described
from narrower.plan.plan import Plan
from narrower.tasks.quality import Quality, failed, quality_of
from narrower.tasks.task import leading, wanted_metrics


@dataclass(frozen=True, slots=True)
class HeldOut:
    """The quality on all samples together, and what each contributed to the leading metric."""

    quality: Quality
    contributions: NDArray[Any]


def held_out(
    sets: Sequence[tuple[Program, Plan, Part]],
    batch_size: int,
    own_metrics: Mapping[str, OwnMetric] | None = None,
) -> HeldOut:
    """Score the samples of each set by its program and plan; metrics are those of all samples together.

    What goes wrong on any of them is a failure.
    """
    parts = [part for _, _, part in sets]
    outputs = [outputs_of(program, part, plan, batch_size) for program, plan, part in sets]
    return of_outputs(outputs, parts, own_metrics or {})


def outputs_of(program: Program, part: Part, plan: Plan, batch_size: int) -> Tensor | str:
    """What a plan gives for the samples of a part, or why it gives nothing."""
    try:
        outputs = ProgramEngine(program, part, batch_size, {}, 0).outputs(plan, part.arguments)
    except Exception as error:  # the user's own code
        return described(error)
    return outputs if is_finite(outputs) else "the outputs hold NaN or infinity"


def of_outputs(
    outputs: Sequence[Tensor | str], parts: Sequence[Part], own_metrics: Mapping[str, OwnMetric]
) -> HeldOut:
    """The quality that the outputs for all samples of some parts give."""
    samples, task = sum(map(len, parts)), parts[0].task
    given = [own for own in outputs if isinstance(own, Tensor)]
    if len(given) < len(parts):
        reason = next((own for own in outputs if isinstance(own, str)), "it has no outputs")
        return HeldOut(failed(reason, samples), np.empty(0))
    every, targets = torch.cat(given), torch.cat([part.targets for part in parts])
    try:
        sums = {metric.name: metric.sums(every, targets) for metric in wanted_metrics(task, loss=True)}
        own = {name: metric(every, targets) for name, metric in own_metrics.items()}
    except Exception as error:  # the user's own code
        return HeldOut(failed(described(error), samples), np.empty(0))
    contributions = leading(task).contributions(every, targets).numpy()
    return HeldOut(quality_of(task, sums, samples).with_metrics(own), contributions)
