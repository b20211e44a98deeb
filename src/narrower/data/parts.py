"""What a data set is: three disjoint parts of samples and their targets."""

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

from narrower.data.prepared import Prepared
from narrower.data.sizes import Sizes
from narrower.tasks.catalogue import task_of
from narrower.tasks.task import Task

EXAMPLES = 3  # more than one: PyTorch specialises a batch of one


@dataclass(frozen=True)
class Part:
    """Samples and their targets: inputs [N, ...], targets [N, ...], whose meaning is up to the task.

    Unless ``task`` is given, real numbers are the targets of a regression, and whole ones classes.

    ``more`` holds the further arguments [N, ...] of a model that takes several.
    """

    inputs: Tensor
    targets: Tensor
    more: tuple[Tensor, ...] = ()
    task: Task = None  # type: ignore[assignment] # __post_init__ gives it one

    def __post_init__(self) -> None:
        if self.task is None:
            object.__setattr__(self, "task", task_of(are_real=self.targets.is_floating_point()))

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def arguments(self) -> tuple[Tensor, ...]:
        """Everything that the model is called with."""
        return (self.inputs, *self.more)

    def first(self, count: int) -> "Part":
        """The first ``count`` samples."""
        return self.between(0, count)

    def between(self, start: int, stop: int) -> "Part":
        """The samples from ``start`` up to ``stop``, that one not included."""
        some = slice(start, stop)
        return self._of(some)

    def at(self, some: Tensor) -> "Part":
        """The samples with these numbers, or where truth values [N] say so."""
        return self._of(some)

    def to(self, device: torch.device) -> "Part":
        """The same samples on a device."""
        more = tuple(other.to(device) for other in self.more)
        return Part(self.inputs.to(device), self.targets.to(device), more, self.task)

    def _of(self, some: slice | Tensor) -> "Part":
        more = tuple(other[some] for other in self.more)
        return Part(self.inputs[some], self.targets[some], more, self.task)


@dataclass(frozen=True)
class DataSet:
    """Three disjoint parts of one kind of samples; ``feature_names`` is empty for images.

    ``output_names`` say what the outputs of a model stand for: of a classification, the classes. With
    ``stands_in`` the samples are zeros, in the place of data that are not here. ``notes`` say what was done
    with samples that nobody asked for, a sentence each. ``argument_names`` are those by which a model takes
    its arguments, where they were given by name. ``prepared`` says how inputs and targets were made of raw
    numbers; None: whoever gave them knows. It is no part of the content.
    """

    name: str
    train: Part
    validation: Part
    test: Part
    output_names: tuple[str, ...]
    feature_names: tuple[str, ...] = ()
    content_hash: str = ""  # computed where it is not given
    stands_in: bool = False
    notes: tuple[str, ...] = ()
    argument_names: tuple[str, ...] = ()
    prepared: Prepared | None = None

    def __post_init__(self) -> None:
        if not self.content_hash:
            object.__setattr__(self, "content_hash", _content_hash(self))

    @property
    def task(self) -> Task:
        """What outputs and targets mean."""
        return self.train.task

    @property
    def sizes(self) -> Sizes:
        """What a model for these samples must take and give."""
        return Sizes(tuple(self.train.inputs.shape[1:]), len(self.output_names), self.argument_names)

    @property
    def examples(self) -> tuple[Tensor, ...]:
        """A few samples that a model is traced with, of each of its arguments."""
        return tuple(argument[:EXAMPLES] for argument in self.train.arguments)

    @property
    def parts(self) -> dict[str, Part]:
        """The three parts by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


def _content_hash(data: DataSet) -> str:
    """SHA-256 of the names, shapes, types and bytes of all parts; the name of the data set is left out."""
    digest = hashlib.sha256(repr((data.output_names, data.feature_names)).encode())
    if data.argument_names:
        digest.update(repr(data.argument_names).encode())
    for name, part in data.parts.items():
        more = ((f"argument {number}", other) for number, other in enumerate(part.more, start=2))
        for kind, tensor in (("inputs", part.inputs), ("targets", part.targets), *more):
            digest.update(f"{name}.{kind} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()
