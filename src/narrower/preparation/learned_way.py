"""What ways of learning widths have in common: they propose networks, each a plan with weights of its own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from torch import Tensor

from narrower.data.parts import Part
from narrower.plan.plan import Plan


@dataclass(frozen=True)
class Proposal:
    """A network that no earlier one of the training beats.

    ``number`` counts them from 0. ``value`` is the task's leading metric on the validation part.
    """

    number: int
    plan: Plan
    cost: float
    ebops: float
    value: float
    state: Callable[[], Mapping[str, Tensor]]  # parameters by the model's names


Proposed = Callable[[Proposal], None]
Passed = Callable[[int, tuple[Proposal, ...]], None]  # an epoch, and the front after it
Saving = Callable[[], None]


class Way(Protocol):
    """Trains once and proposes networks."""

    def learn(
        self, validation: Part, proposed: Proposed, passed: Passed, keep: Path | None, saving: Saving | None
    ) -> tuple[Proposal, ...]:
        """Train; the front at the end.

        ``proposed`` is told of each network when it is found, ``passed`` of each epoch. In the directory
        ``keep`` lies what a training that was killed goes on from; ``saving`` is called before a state is
        written.

        Raises:
            CheckpointError: what lies there is damaged, or of another training.
        """
