"""How well a plan did."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace


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
