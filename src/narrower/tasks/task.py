"""What a task is: what the outputs of a model and the targets of samples mean.

Nothing here imports torch: settings and reports know metrics by their names.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

Direction = Literal["maximize", "minimize"]
Sums = tuple[float, ...]
OfSamples = Callable[["Tensor", "Tensor"], "Tensor"]  # outputs and targets of a batch to a number of each
OfSamplesBy = Callable[["Tensor", "Tensor", float], "Tensor"]

LOSS = "loss"  # the metric that training lowers; computed only where somebody wants it


def mean(sums: Sequence[float], samples: int) -> float:
    """The value of a metric that is a mean over samples."""
    return sums[0] / samples


@dataclass(frozen=True, slots=True)
class SampleMetric:
    """A metric that is made of what each sample contributes.

    ``contributions`` of a batch are truth values [N], or numbers in double precision, [N] or [N, K];
    ``value`` makes the metric of their sums over all samples. So batches can be added up, plans compared
    sample by sample, and samples drawn anew to see how far chance reaches. Where contributions are truth
    values the metric is a share. ``best`` is what a sample contributes at best, whatever its target, and
    ``chance`` the value of a model that knows nothing, by the number of its outputs; None: there is none.

    Some metrics are no function of sums (``whole_metrics.py``). Their "sums" are the contributions
    themselves, one after the other, and ``of_all`` makes them of these, and of how often each sample counts.
    Samples are drawn anew ``draws`` times at most.
    """

    name: str
    description: str
    direction: Direction
    contributions: OfSamples
    value: Callable[[Sequence[float], int], float] = mean
    unit: str = ""
    is_share: bool = False
    best: Sums | None = None
    chance: Callable[[int], float] | None = None
    of_all: "Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]] | None" = None
    draws: int = 1000

    @property
    def sign(self) -> int:
        """What the metric is multiplied with so that larger is better."""
        return 1 if self.direction == "maximize" else -1

    def sums(self, outputs: "Tensor", targets: "Tensor") -> Sums:
        """What the samples of a batch contribute, added up."""
        own = self.contributions(outputs, targets)
        added: Any = (own.sum(0) if self.of_all is None else own.flatten()).tolist()
        return tuple(added) if isinstance(added, list) else (added,)


@dataclass(frozen=True, slots=True)
class Ending:
    """What a model ends in: "scores" where it is nothing that is known; and where that is, for a message."""

    kind: str = "scores"
    where: str = ""


@dataclass(frozen=True, slots=True)
class Loss:
    """What training lowers: the loss of each sample of a batch, [N], which can be differentiated.

    ``warning`` says what is wrong with the ending of the model; it goes on after the model's name.
    ``smoothed`` takes a share that is taken from each target and spread, ``taught`` the outputs of another
    model in place of targets and a temperature; None where the task has no such thing.
    """

    name: str
    of_samples: OfSamples
    warning: str | None = None
    smoothed: OfSamplesBy | None = None
    taught: OfSamplesBy | None = None


@dataclass(frozen=True, slots=True)
class Words:
    """What a task is called, and one and several of the outputs that its models have."""

    name: str
    output: str
    outputs: str
    targets_are: str = ""  # what is said of targets that are no classes

    @property
    def names_key(self) -> str:
        """The key of the names of outputs in files."""
        return f"{self.output}_names"


@runtime_checkable
class Task(Protocol):
    """What outputs mean.

    Plans are told apart by the first of ``metrics``; one of them is called "loss".
    """

    @property
    def words(self) -> Words:
        """Its name, and what it calls outputs."""

    @property
    def metrics(self) -> tuple[SampleMetric, ...]:
        """What is measured; the first leads."""

    def loss(self, ending: Ending) -> Loss:
        """What is trained by, for models that end so."""

    def check(
        self,
        targets: NDArray[Any],
        names: Sequence[str] | None = None,
        *,
        outputs: "Tensor | None" = None,
        teaches: bool = False,
    ) -> tuple[str, ...]:
        """Check targets, and where they are given what a model gives for the first of them.

        The names of what outputs stand for: those that are given, else some that suit the targets. With
        ``teaches`` a model is to learn something from these targets.

        Raises:
            DataError: with what is wrong with the targets, or the outputs do not fit them.
        """


def leading(task: Task) -> SampleMetric:
    """The metric that plans are told apart by."""
    return task.metrics[0]


def chances(metrics: Sequence[SampleMetric], outputs: int) -> dict[str, float]:
    """For each metric what a model reaches that knows nothing, where there is such a value."""
    return {metric.name: metric.chance(outputs) for metric in metrics if metric.chance is not None}


def class_name(number: int, names: Sequence[str] | None) -> str:
    """The name of a class as messages show it, or its number where it has none."""
    return str(number) if names is None or number >= len(names) else repr(names[number])


def test_name(*, is_share: bool) -> str:
    """By which test two plans are compared on the same samples, by a share or by another metric."""
    return "McNemar's test" if is_share else "a paired bootstrap"


def spread_name(task: Task) -> str:
    """What the deviation of the leading metric over several trainings is called."""
    return f"{leading(task).name}_spread"


def wanted_metrics(task: Task, *, loss: bool) -> tuple[SampleMetric, ...]:
    """All metrics, or all but the loss."""
    return tuple(metric for metric in task.metrics if loss or metric.name != LOSS)
