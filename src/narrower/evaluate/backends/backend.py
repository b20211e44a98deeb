"""What every place where plans are scored has in common, and which there are."""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, Protocol, runtime_checkable

from narrower.evaluate.backends.settings import BackendSettings
from narrower.plan.plan import Plan
from narrower.tasks.quality import Quality

Say = Callable[[str], None]


class Engine(Protocol):
    """What scores plans by itself, in one process."""

    @property
    def layers(self) -> Sequence[str]:
        """The layers that a plan can round, in the order in which they run."""

    def warm_up(self) -> None:
        """Make what all plans share, so that copies of this process have it already."""

    def score(self, plans: Sequence[Plan], loss: bool) -> list[Quality]:
        """The quality of each plan; one that goes wrong has a ``failure``."""

    def on(self, device: str, halvings: int) -> "Engine":
        """The same with weights and samples on a device, with half as much at a time, and so on."""


@runtime_checkable
class Work(Protocol):
    """What else the workers of some backends can do: anything, whole tasks at a time; an engine for these.

    It has no ``layers``. A task whose workers were lost is answered by a ``Quality`` with that failure.
    """

    @property
    def layers(self) -> Sequence[str]:
        """None: tasks share nothing."""

    def warm_up(self) -> None:
        """Make what all tasks share."""

    def score(self, tasks: Sequence[Any], loss: bool) -> list[Any]:
        """The answer to each task, which depends on it alone."""

    def probe(self, tasks: Sequence[Any]) -> list[Any]:
        """Small tasks that each worker does first: whether it computes as this process does."""


@runtime_checkable
class Workers(Protocol):
    """A backend whose workers do other ``Work`` as well."""

    lost: int

    def workers(self) -> int:
        """How many tasks are done at a time."""

    def start(self, engine: Any) -> None:
        """Get ready for this work."""

    def score(self, plans: Sequence[Any], loss: bool) -> list[Any]:
        """The answers, in the order of the tasks."""

    def close(self) -> None:
        """End the workers; what was started can be started again."""


@runtime_checkable
class Backend(Protocol):
    """Scores lists of plans with an engine, wherever that is.

    It owns the start, the loss and the order of its workers. Results are those of the engine. ``lost`` counts
    workers that ended before they were told to.
    """

    lost: int

    def start(self, engine: Engine) -> None:
        """Get ready to score with this engine."""

    def score(self, plans: Sequence[Plan], loss: bool) -> list[Quality]:
        """The qualities of different plans, in their order."""

    def close(self) -> None:
        """End the workers; what was started can be started again."""


BACKENDS: dict[str, str] = {
    "this_process": "narrower.evaluate.backends.this_process:ThisProcess",
    "processes": "narrower.evaluate.backends.processes:Processes",
    "device": "narrower.evaluate.backends.one_device:OneDevice",
    "ray": "narrower.evaluate.backends.ray_cluster:RayCluster",
}


def build_backend(settings: BackendSettings, say: Say) -> Backend:
    """The backend that the settings name; it tells ``say`` what its user should know of the workers."""
    module, class_name = BACKENDS[settings.chosen_name].split(":")
    build: Callable[[BackendSettings, Say], Backend] = getattr(import_module(module), class_name)
    return build(settings, say)


def build_workers(settings: BackendSettings, say: Say) -> Workers | None:
    """Workers for what is more than scoring plans; None where that is done in this process."""
    has_others = settings.chosen_name == "ray" or settings.processes > 1
    backend = build_backend(settings, say) if has_others else None
    return backend if isinstance(backend, Workers) else None
