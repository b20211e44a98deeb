"""What a tracker is: it is told of a search when it begins, of its trials, and when it ends."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from narrower.store.trial import State

Value = str | int | float | bool


@dataclass(frozen=True, slots=True)
class TrackerSettings:
    """Which trackers are told, by name, and where the services among them keep what they are told.

    ``mlflow_uri`` is None where MLflow's own environment variable, or a file beside the runs, says it.
    ``wandb_mode`` is "offline" unless something else is asked for: nothing leaves the machine.
    """

    names: tuple[str, ...] = ()
    experiment: str = "narrower"
    mlflow_uri: str | None = None
    wandb_mode: str = "offline"


@dataclass(frozen=True, slots=True)
class TrackedSearch:
    """A search as trackers know it.

    ``identity`` is the same when the search goes on later, ``told`` the number of trials that were told
    before. ``settings`` have dotted keys, ``metrics`` are the names that trials may hold.
    """

    name: str
    identity: str
    directory: Path
    settings: Mapping[str, Value]
    metrics: tuple[str, ...]
    told: int = 0


@dataclass(frozen=True, slots=True)
class TrackedTrial:
    """One plan that was tried; ``plan`` holds "layer.aspect" and the text of its format, or its width.

    ``state`` is "complete", "failed" or "dominated", ``reason`` says why where it is not complete;
    ``finished`` counts seconds from the start of the search.
    """

    number: int
    state: State
    reason: str | None
    metrics: Mapping[str, float]
    plan: Mapping[str, str | float]
    seconds: float
    finished: float


@dataclass(frozen=True, slots=True)
class TrackedMember:
    """A plan of the front: what it reached on the samples of the search, and on the test part."""

    number: int
    metrics: Mapping[str, float]
    plan: Mapping[str, str | float]


@dataclass(frozen=True, slots=True)
class TrackedEnd:
    """How a search ended: numbers about it, the members of its front, and files worth keeping."""

    figures: Mapping[str, float]
    members: Sequence[TrackedMember]
    files: Sequence[Path] = field(default_factory=tuple)


@runtime_checkable
class Tracker(Protocol):
    """Something that is told of a search. What it raises in ``trials`` or ``end`` does not end the search."""

    def begin(self, search: TrackedSearch) -> int:
        """Get ready, and return the number of the first trial that is to be told."""

    def trials(self, trials: Sequence[TrackedTrial]) -> None:
        """Take in trials, in the order of their numbers."""

    def end(self, end: TrackedEnd) -> None:
        """Take in how it ended; nothing is told afterwards."""
