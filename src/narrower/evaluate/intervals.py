"""The quality of plans, and how sure its leading metric is."""

from collections.abc import Sequence
from dataclasses import replace

from narrower.evaluate.evaluator import Evaluator
from narrower.plan.plan import Plan
from narrower.tasks.intervals import interval, share_interval
from narrower.tasks.quality import Quality
from narrower.tasks.task import leading


def with_intervals(evaluator: Evaluator, plans: Sequence[Plan], *, loss: bool = False) -> list[Quality]:
    """What ``evaluator`` says of plans, with an interval where a plan did not go wrong."""
    qualities = evaluator.evaluate(plans, loss=loss)
    metric = leading(evaluator.part.task)
    right = [position for position, quality in enumerate(qualities) if quality.failure is None]
    if metric.is_share:
        found = [share_interval(qualities[p].metrics[metric.name], qualities[p].samples) for p in right]
    else:
        contributions = evaluator.contributions([plans[p] for p in right])
        found = [interval(metric, own.numpy()) for own in contributions]
    for position, bounds in zip(right, found, strict=True):
        qualities[position] = replace(qualities[position], interval=bounds)
    return qualities
