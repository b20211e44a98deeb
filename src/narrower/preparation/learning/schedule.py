"""What changes over the steps of a training: the learning rate, and when networks are scored."""

from dataclasses import dataclass
from math import cos, pi

from narrower.preparation.learning.settings import LearnSettings


@dataclass(frozen=True, slots=True)
class Schedule:
    """The values of each of ``steps`` steps."""

    settings: LearnSettings
    steps: int

    def rate(self, step: int) -> float:
        """Learning rate of the weights."""
        cycle, share = self._phase(step / self.steps)
        return self.settings.learning_rate * self.settings.cycle_factor**cycle * (1 + cos(pi * share)) / 2

    def is_scored(self, epoch: int, epochs: int) -> bool:
        """Whether networks are scored after an epoch: the last of a cycle, and of each slot before it.

        The scored share of a cycle has ``scores_per_cycle`` slots.
        """
        if epoch + 1 == epochs:
            return True
        cycle, slot = self._slot((epoch + 0.5) / epochs)
        next_cycle, next_slot = self._slot((epoch + 1.5) / epochs)
        return next_cycle > cycle or (slot >= 0 and next_slot > slot)

    def _slot(self, share: float) -> tuple[int, int]:
        cycle, passed = self._phase(share)
        scored = self.settings.scored_share
        if scored == 0 or passed < 1 - scored:
            return cycle, -1
        return cycle, int((passed - 1 + scored) / scored * self.settings.scores_per_cycle)

    def _phase(self, share: float) -> tuple[int, float]:
        """In which cycle a share of the training lies, and how much of that has passed."""
        at = share * self.settings.cycles
        return int(at), at - int(at)
