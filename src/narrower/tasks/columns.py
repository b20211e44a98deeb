"""Which tasks can score samples that lie in columns, those of one kind together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

from torch import Tensor

from narrower.tasks.task import Ending, Task


@dataclass(frozen=True, slots=True)
class Arrangement:
    """Samples in chunks of equal width; all samples of a chunk are of one kind.

    ``order`` [chunks * width] is the sample in each column, -1 where there is none.
    """

    order: Tensor
    kinds: tuple[int, ...]
    width: int


class Columns(Protocol):
    """A faster way to what a task's metrics say; outputs are [formats, chunks, options, outputs, width].

    Columns without a sample hold NaN and contribute nothing.
    """

    def arrange(self, targets: Tensor) -> Arrangement:
        """Where each sample lies."""

    def contributions(self, outputs: Tensor, kind: int) -> Tensor:
        """What samples contribute to the leading metric: [formats, chunks, options, width]."""

    def sums(self, outputs: Tensor, kinds: Sequence[int], *, loss: bool) -> tuple[Tensor, ...]:
        """What samples contribute to each wanted metric, added up: [formats, options] each.

        ``kinds`` are those of the chunks, or the one of all.
        """

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean loss [candidates] of outputs [candidates, samples, outputs], to be differentiated."""


OF_CLASSES = 3  # dimensions of the outputs of several candidates

COLUMNS: dict[str, str] = {
    "classification": "narrower.tasks.classification.columns:ClassColumns",
}


def columns_of(task: Task) -> Columns | None:
    """The faster way of a task, where it has one."""
    reference = COLUMNS.get(task.words.name)
    if reference is None:
        return None
    module, name = reference.split(":")
    columns: Columns = getattr(import_module(module), name)()
    return columns


def stacked_losses(task: Task) -> Callable[[Tensor, Tensor], Tensor]:
    """From outputs [candidates, samples, ...] and targets to the mean loss of each candidate."""
    columns = columns_of(task)
    of_samples = task.loss(Ending()).of_samples

    def losses(outputs: Tensor, targets: Tensor) -> Tensor:
        if columns is not None and outputs.dim() == OF_CLASSES and outputs.shape[2] > 1:
            return columns.losses(outputs, targets)
        candidates = len(outputs)
        repeated = targets.expand(candidates, *targets.shape).flatten(0, 1)
        return of_samples(outputs.flatten(0, 1), repeated).view(candidates, -1).mean(dim=1)

    return losses
