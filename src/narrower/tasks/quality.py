"""The quality of a plan: its metrics, summed over samples, or why there are none."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf

from narrower.tasks.task import SampleMetric, Sums, Task, leading

# Takes the position of a plan and its bounds, the best values that its metrics can still reach.
CanMatter = Callable[[int, Mapping[str, float]], bool]

ROUNDING = 1e-9  # of a share


@dataclass(frozen=True, slots=True)
class Quality:
    """The metrics of one plan on one set of samples; ``failure`` says why there are none.

    ``sums`` are what the samples contributed to each of the task's metrics. Where ``dropped_after`` is set,
    the plan was scored on so many samples only; its metrics are the best that it could still reach, and
    ``bound`` says so.
    """

    samples: int
    metrics: Mapping[str, float] = field(default_factory=dict)
    sums: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    failure: str | None = None
    dropped_after: int | None = None
    bound: str | None = None
    interval: tuple[float, float] | None = None  # 95 %, of the leading metric, where it was worked out

    def with_metrics(self, metrics: Mapping[str, float]) -> "Quality":
        """The same with further metrics."""
        return replace(self, metrics={**self.metrics, **metrics})


def failed(reason: str, samples: int) -> Quality:
    """The quality of a plan whose evaluation went wrong."""
    return Quality(samples, failure=reason)


def quality_of(task: Task, sums: Mapping[str, Sums], samples: int) -> Quality:
    """The quality that sums over so many samples give."""
    metrics = {m.name: m.value(sums[m.name], samples) for m in task.metrics if m.name in sums}
    whole = {metric.name for metric in task.metrics if metric.of_all is not None}
    kept = {name: of_metric for name, of_metric in sums.items() if name not in whole}  # those are large
    return Quality(samples, metrics, kept)


def added(
    metrics: Sequence[SampleMetric], before: Mapping[str, Sums], more: Mapping[str, Sums]
) -> dict[str, Sums]:
    """Sums over two sets of samples together; what is not in ``before`` begins at zero."""
    found = {}
    for metric in metrics:
        new = more[metric.name]
        if metric.of_all is not None:
            found[metric.name] = (*before.get(metric.name, ()), *new)
            continue
        found[metric.name] = tuple(
            a + b for a, b in zip(before.get(metric.name, (0.0,) * len(new)), new, strict=True)
        )
    return found


def best_reachable(task: Task, seen: Quality, samples: int) -> Quality:
    """The best that a plan can reach on so many samples, of which the first gave this."""
    left = samples - seen.samples
    sums = {}
    for metric in task.metrics:
        if metric.name in seen.sums and metric.best is not None:
            pairs = zip(seen.sums[metric.name], metric.best, strict=True)
            sums[metric.name] = tuple(a + left * b for a, b in pairs)
    best = quality_of(task, sums, samples)
    words = [
        f"{metric.name} at {'most' if metric.sign > 0 else 'least'} {best.metrics[metric.name]:.4f}"
        for metric in task.metrics
        if metric.name in best.metrics
    ]
    bound = f"{', '.join(words)}: known after {seen.samples:,} samples"
    return replace(best, dropped_after=seen.samples, bound=bound)


def rank(task: Task, quality: Quality) -> float:
    """Larger for plans that do better; a plan that went wrong comes last."""
    metric = leading(task)
    return -inf if quality.failure is not None else metric.sign * quality.metrics[metric.name]


def check_share(metric: SampleMetric, value: float, samples: int, what: str) -> None:
    """Check a value that was written down.

    Raises:
        ValueError: it is no share of so many samples, though the metric is a share.
    """
    if metric.is_share and not (0 <= value <= 1 and abs(round(value * samples) / samples - value) < ROUNDING):
        raise ValueError(f"{value} {what} is no share of {samples} samples")
