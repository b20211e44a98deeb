"""The metrics of a float32 model on a part of the data."""

from dataclasses import replace

import torch
from torch import nn

from narrower.data.arguments import copies
from narrower.data.parts import Part
from narrower.data.sizes import SAMPLES_AT_ONCE
from narrower.models.evaluation_mode import evaluation_mode
from narrower.tasks.intervals import interval
from narrower.tasks.quality import Quality, added, quality_of
from narrower.tasks.task import Sums, leading


def model_quality(model: nn.Module, part: Part, *, batch_size: int = SAMPLES_AT_ONCE) -> Quality:
    """All metrics, and the interval of the leading one, in evaluation mode; the mode it had is restored."""
    task, metrics = part.task, part.task.metrics
    sums: dict[str, Sums] = {}
    contributions = []
    with evaluation_mode(model), torch.inference_mode():
        for start in range(0, len(part), batch_size):
            some = part.between(start, start + batch_size)
            outputs = model(*copies(some.arguments))
            sums = added(metrics, sums, {m.name: m.sums(outputs, some.targets) for m in metrics})
            contributions.append(leading(task).contributions(outputs, some.targets))
    found = interval(leading(task), torch.cat(contributions).numpy())
    return replace(quality_of(task, sums, len(part)), interval=found)
