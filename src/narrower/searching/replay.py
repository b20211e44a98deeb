"""Which proposals of a resumed search are recorded already, and what was recorded of them."""

from collections.abc import Iterator, Sequence

from narrower.errors import DivergedError, RunError
from narrower.searching.objective import Objectives
from narrower.store.trial import Trial
from narrower.store.trials import TrialStore


class Replay:
    """The trials of a run in their order; each is given out once, to the proposal that it was made for."""

    def __init__(self, store: TrialStore, objectives: Objectives) -> None:
        self._trials: Iterator[Trial] = store.trials()
        self._left = store.count()
        self._metrics = [objective.metric for objective in objectives.each]

    def take(self, indices: Sequence[int], first: int) -> list[Trial]:
        """The recorded trials of these plans, from number ``first`` on, as far as the record goes.

        Raises:
            RunError: a trial is missing, or lacks a metric.
            DivergedError: another plan was tried there.
        """
        taken = []
        for number, index in enumerate(indices[: self._left], start=first):
            trial = next(self._trials)
            lacks = [metric for metric in self._metrics if metric not in trial.metrics]
            if trial.number != number or (lacks and trial.state == "complete"):
                what = f"has no {lacks[0]}" if trial.number == number else f"follows trial {number - 1}"
                raise RunError(f"the run is damaged: its trial {trial.number} {what}")
            if trial.plan_index != index:
                raise DivergedError(
                    f"trial {trial.number} of the run tried plan {trial.plan_index}, but the sampler now "
                    f"proposes plan {index}"
                )
            taken.append(trial)
        self._left -= len(taken)
        return taken
