"""Train plans up to a step, many at once; what was trained before a kill is taken from its file."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from torch import nn

from narrower.graph.network import Network, numel
from narrower.plan.plan import Plan
from narrower.study.tuned_states import TunedStates
from narrower.tasks.task import SampleMetric
from narrower.training.continued import CandidateState
from narrower.training.core import Core
from narrower.training.in_rounds import InRounds, State

MOST_TOGETHER = 32  # plans that are trained at once
MOST_VALUES = 2**26  # numbers that the layers of these may hold for one batch

StepsSeen = Callable[[str, int, int, str], None]  # the stage, steps done in it, all steps of it, how it goes


@dataclass
class InTraining:
    """One plan on its way: the number of its trial, what it was trained to, and for how many steps."""

    number: int
    plan: Plan
    state: State | None = None
    step: int = 0

    @property
    def failure(self) -> str | None:
        """Why it cannot be trained."""
        return self.state if isinstance(self.state, str) else None


@dataclass(frozen=True, slots=True)
class StagedTraining:
    """``at_once`` plans are trained together; ``metric`` is what ``seen`` is told of."""

    states: TunedStates
    at_once: int
    metric: SampleMetric
    seen: StepsSeen

    def train(self, training: InRounds, stage: str, going: Sequence[InTraining], stop: int) -> None:
        """Train plans that have all made as many steps up to ``stop``; ``stage`` names where it is kept."""
        done, begun = 0, going[0].step if going else 0
        of_all = len(going) * (stop - begun)
        for group in self._groups(going):
            found = [self.states.load(each.number, stage) for each in group]
            if any(state is None for state in found):
                trained = self._trained(training, stage, group, stop, done, of_all)
                for each, state in zip(group, trained, strict=True):
                    self.states.save(each.number, stage, state)
                found = list[State | None](trained)
            done += len(group) * (stop - begun)
            for each, held in zip(group, found, strict=True):
                each.state, each.step = held, stop

    def models(
        self, training: InRounds, going: Sequence[InTraining]
    ) -> Iterator[tuple[InTraining, nn.Module]]:
        """The models that plans would be delivered with, from those that stopped first to the last.

        There is none of a plan that cannot be trained.
        """
        able = [each for each in going if isinstance(each.state, dict)]
        able.sort(key=lambda each: each.step)
        for group in self._groups(able):
            states: list[CandidateState] = [each.state for each in group if isinstance(each.state, dict)]
            yield from zip(group, training.weights([each.plan for each in group], states), strict=True)

    def _trained(
        self,
        training: InRounds,
        stage: str,
        group: Sequence[InTraining],
        stop: int,
        done: int,
        of_all: int,
    ) -> list[State]:
        reasons = [training.why_not(each.plan) for each in group]
        able = [each for each, reason in zip(group, reasons, strict=True) if reason is None]
        key = f"{stage}: {[each.number for each in group]}"
        found: list[State] = []
        if able:
            begun = able[0].step

            def epoch(core: Core) -> None:
                self.states.epoch(key, core)
                self.seen(stage, done + len(able) * (core.step - begun), of_all, self._words(core))

            found = training.train(
                [each.plan for each in able],
                [each.state if isinstance(each.state, dict) else None for each in able],
                stop,
                unfinished=self.states.unfinished(key),
                seen=epoch,
            )
        trained = iter(found)
        return [next(trained) if reason is None else reason for reason in reasons]

    def _words(self, core: Core) -> str:
        """How the best of the plans in training does."""
        if not core.curve:
            return ""
        _, _, losses, values = core.curve[-1].unbind(dim=1)
        best = int((self.metric.sign * values).argmax())
        return f"best of {len(values)}: loss {losses[best]:.4f}, {self.metric.name} {values[best]:.4f}"

    def _groups(self, going: Sequence[InTraining]) -> Iterator[Sequence[InTraining]]:
        """Plans that are trained together; which these are does not depend on what was trained before."""
        for _, same in groupby(going, key=lambda each: each.step):
            some = list(same)
            for start in range(0, len(some), self.at_once):
                yield some[start : start + self.at_once]


def plans_at_once(network: Network, batch_size: int) -> int:
    """How many plans of a network are trained together, so that memory suffices."""
    values = sum(numel(operator.output_shape, batch_size) for operator in network.operators)
    return max(1, min(MOST_TOGETHER, MOST_VALUES // max(1, values)))
