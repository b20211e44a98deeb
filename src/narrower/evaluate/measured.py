"""What a plan comes to in metrics beside the leading one, each with its 95 % interval."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from narrower.errors import NarrowerError
from narrower.evaluate.evaluator import Evaluator
from narrower.plan.plan import Plan
from narrower.tasks.intervals import intervals, value_of
from narrower.tasks.task import SampleMetric


@dataclass(frozen=True, slots=True)
class Measured:
    """The value of a metric; without an interval where it has none on samples that are drawn anew."""

    value: float
    interval: tuple[float, float] | None


def measured(evaluator: Evaluator, plan: Plan, metrics: Sequence[SampleMetric]) -> dict[str, Measured]:
    """Each of the metrics by its name; without those that have no value, or that the user's code refuses."""
    if not metrics:
        return {}
    contributions = evaluator.contributions_to(metrics, plan)
    pairs = [(metric, own.numpy()) for metric, own in zip(metrics, contributions, strict=True)]
    found = {}
    for metric, own in pairs:
        try:
            value = value_of(metric, own)
        except NarrowerError:  # a function of the user's own
            continue
        if isfinite(value):
            found[metric.name] = value
    whole = [pair for pair in pairs if pair[0].name in found and pair[0].of_all is not None]
    summed = [pair for pair in pairs if pair[0].name in found and pair[0].of_all is None]
    bounds = dict(zip((metric.name for metric, _ in summed), intervals(summed), strict=True))
    for metric, own in whole:
        try:
            (bounds[metric.name],) = intervals([(metric, own)])
        except NarrowerError:
            bounds[metric.name] = None
    return {name: Measured(value, bounds[name]) for name, value in found.items()}
