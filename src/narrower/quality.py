"""How well a plan did."""

from dataclasses import dataclass, replace

from narrower.intervals import wilson_interval

CROSS_ENTROPY = "cross entropy"  # what the loss is, unless the model ends in something of its own


@dataclass(frozen=True, slots=True)
class Quality:
    """Counts and loss of one plan on one set of samples; ``failure`` says why there are none.

    Where ``dropped_after`` is set, the plan was scored on so many samples only, and counts and loss are the
    best that it could still reach.
    """

    correct: int
    samples: int
    loss: float | None = None
    failure: str | None = None
    own: tuple[tuple[str, float], ...] = ()  # metrics of the user's own, by name
    dropped_after: int | None = None
    spread: float | None = None  # standard deviation of the accuracy over the seeds of its training

    @property
    def accuracy(self) -> float:
        """Share of samples whose highest score is that of their class (micro average)."""
        return self.correct / self.samples

    def dropped(self, samples: int) -> "Quality":
        """The same as a bound, known after so many samples."""
        return replace(self, dropped_after=samples)

    @property
    def accuracy_interval(self) -> tuple[float, float]:
        """95 % Wilson interval of the accuracy."""
        return wilson_interval(self.correct, self.samples)


def failed(reason: str, samples: int) -> Quality:
    """The quality of a plan whose evaluation went wrong."""
    return Quality(0, samples, None, reason)
