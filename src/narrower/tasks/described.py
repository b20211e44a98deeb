"""A task as records hold it: its words and metrics, without the functions that measure them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from narrower.errors import unknown_name
from narrower.tasks.catalogue import TASKS
from narrower.tasks.task import Ending, SampleMetric, Task, Words

if TYPE_CHECKING:
    from torch import Tensor

Described = dict[str, Any]


@dataclass(frozen=True, slots=True)
class MetricNote:
    """What a record says of a metric of a task of the user's own."""

    name: str
    description: str
    direction: Literal["maximize", "minimize"]
    is_share: bool


@dataclass(frozen=True, slots=True)
class DescribedTask:
    """A task whose functions are not here: nothing can be measured, but results can be read."""

    words: Words
    metrics: tuple[SampleMetric, ...]
    loss_name: str | None


def description_of(task: Task) -> tuple[MetricNote, ...] | None:
    """The metrics of a task of the user's own; None for a task of the program."""
    if task.words.name in TASKS:
        return None
    return tuple(MetricNote(m.name, m.description, m.direction, m.is_share) for m in task.metrics)


def described_task(name: str, notes: Sequence[MetricNote] | None) -> DescribedTask:
    """The task of a record.

    Raises:
        UnknownNameError: there is none of this name, and the record does not say what its metrics are.
    """
    if name in TASKS:
        task = TASKS[name]
        return DescribedTask(task.words, task.metrics, task.loss(Ending()).name)
    if not notes:
        raise unknown_name("task", name, TASKS)
    metrics = tuple(
        SampleMetric(n.name, n.description, n.direction, _not_here, is_share=n.is_share) for n in notes
    )
    return DescribedTask(Words(name, "output", "outputs", "a task of your own"), metrics, None)


def metric_notes(held: Mapping[str, Any]) -> tuple[MetricNote, ...] | None:
    """What a file says of the metrics of a task of the user's own.

    Raises:
        ValueError: it has another form.
    """
    given = held.get("task_metrics")
    if given is None:
        return None
    try:
        return tuple(MetricNote(**note) for note in given)
    except TypeError as error:
        raise ValueError(f"task_metrics: {error}") from None


def _not_here(_outputs: "Tensor", _targets: "Tensor") -> "Tensor":
    raise AssertionError("a record measures nothing")
