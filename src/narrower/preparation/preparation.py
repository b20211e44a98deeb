"""What every way of giving plans their weights has in common."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from torch import Tensor, nn

from narrower.data.parts import DataSet, Part
from narrower.graph.called_modules import trace_or_call
from narrower.graph.groups import Channels
from narrower.graph.lower import lower
from narrower.graph.network import Network
from narrower.graph.program import Program
from narrower.graph.resized_network import deployed_network
from narrower.plan.plan import Plan
from narrower.preparation.curves import Curves
from narrower.transform.resized import wanted_counts

Refitted = Callable[[Plan], Plan]


@dataclass(frozen=True)
class Subject:
    """The model with its weights, its traced program, and the data that candidates are trained on.

    ``channels`` are the model's groups where widths are searched; ``multipliers`` are the largest ones that
    the space has above 1, by layer. ``seed`` begins the seeds of what is drawn anew. ``kept`` has the formats
    that all plans have, where widths are learned. ``scored`` are the samples that plans are scored on.
    ``refit`` chooses automatic fractions of plans anew for another model of the kind, and other data.
    """

    model_name: str
    model: nn.Module
    program: Program
    data: DataSet
    seed: int = 0
    channels: Channels | None = None
    multipliers: Mapping[str, float] | None = None
    kept: Plan = field(default_factory=Plan)
    scored: Part | None = None
    refit: Callable[[nn.Module, DataSet], Refitted] | None = None

    @cached_property
    def examples(self) -> tuple[Tensor, ...]:
        """The first samples of each argument of the model."""
        return self.data.examples

    @cached_property
    def lowered(self) -> Program:
        """The deployed form of the model as it is."""
        return lower(self.program)

    def __getstate__(self) -> dict[str, Any]:
        """In another process the model is traced anew: what a trace knows of its values cannot be sent."""
        made_of = ("program", "lowered", "examples")
        return {name: value for name, value in self.__dict__.items() if name not in made_of} | {"refit": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.__dict__["program"] = self.traced(self.model)

    def network(self, widths: Mapping[str, float]) -> Network:
        """The picture of the network with other widths (multipliers by layer)."""
        if self.channels is None:
            return self.program.network
        return deployed_network(self.channels, wanted_counts(self.channels, widths, {}))

    def traced(self, model: nn.Module) -> Program:
        """The program of another model of the same kind."""
        return trace_or_call(model, self.data.examples, self.model_name)


@dataclass(frozen=True)
class Candidate:
    """One set of weights: the module and its lowered program.

    With several folds ``part`` are the samples that it scores, and ``plan`` what it was trained for there.
    """

    model: nn.Module
    program: Program
    part: Part | None = None
    plan: Plan = field(default_factory=Plan)


@dataclass(frozen=True)
class Prepared:
    """Plans that have the same weights, and these: one candidate for each seed.

    ``failure`` says why there are none. With several seeds, ``keep`` says whether their mean or the best one
    is the plan's quality; with a candidate for each fold, it is what all come to on their samples together.
    ``recorded`` is what is recorded with the trial of how the weights were made.
    """

    plans: tuple[Plan, ...]
    candidates: tuple[Candidate, ...]
    failure: str | None = None
    keep: Literal["mean", "best", "folds"] = "mean"
    recorded: Mapping[str, float] = field(default_factory=dict)


@runtime_checkable
class KeepsTraining(Protocol):
    """What a way does that trains plans before they are scored: their weights and curves can be kept."""

    curves: Curves | None

    def keep_in(self, directory: Path, plans: Sequence[Plan], failed: Sequence[Plan]) -> None:
        """Keep weights on disk; those of ``plans``, in the order of their trials, may lie there already."""


@runtime_checkable
class Preparation(Protocol):
    """Gives plans their weights."""

    @property
    def words(self) -> str | None:
        """How, for the record; None where all plans share the model's weights."""

    @property
    def together(self) -> int | None:
        """Plans that are best proposed at a time; None: as the sampler likes."""

    def prepare(self, plans: Sequence[Plan]) -> Iterator[Prepared]:
        """Every one of the different ``plans`` in exactly one group; a group is made when it is asked for."""

    def alone(self, plan: Plan) -> Prepared:
        """The weights of one plan made apart from all others: the definition of what ``prepare`` gives.

        Raises:
            NarrowerError: they cannot be made.
        """
