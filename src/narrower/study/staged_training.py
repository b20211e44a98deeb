"""Train plans up to a step, many at once; what was trained before a kill is taken from its file."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from torch import nn

from narrower.graph.network import Network, numel
from narrower.plan.plan import Plan
from narrower.study.lessons import Lesson, Lessons, packed, unpacked
from narrower.study.training_work import Asked, Leg, TrainingsElsewhere, states_of, words_of
from narrower.study.tuned_states import TunedStates
from narrower.tasks.task import SampleMetric
from narrower.training.continued import CandidateState
from narrower.training.core import Core
from narrower.training.in_rounds import InRounds, State

MOST_TOGETHER = 16  # plans that are trained at once: fewer, and workers have more to share
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
class Stage:
    """Plans that have all made as many steps and are trained up to ``stop``; ``name``: where it is kept."""

    name: str
    lesson: Lesson
    going: Sequence[InTraining]
    stop: int

    @property
    def steps(self) -> int:
        """Steps of each plan."""
        return self.stop - (self.going[0].step if self.going else 0)

    def key(self, group: Sequence[InTraining]) -> str:
        """What some of its plans, in training together, are called."""
        return f"{self.name}: {[each.number for each in group]}"


@dataclass(frozen=True, slots=True)
class StagedTraining:
    """``at_once`` plans are trained together; ``metric`` is what ``seen`` is told of.

    Where there are workers ``elsewhere``, these train; what they come to does not depend on that.
    """

    lessons: Lessons
    states: TunedStates
    at_once: int
    metric: SampleMetric
    seen: StepsSeen
    elsewhere: TrainingsElsewhere | None = None
    _lost: dict[tuple[str, int], str] = field(default_factory=dict)  # stage and trial: why workers lost it

    def float_weights(self, folds: int) -> list[bytes]:
        """Those of the float model of each fold."""
        if self.elsewhere is not None:
            return self.elsewhere.float_weights(folds)
        return [self.lessons.float_weights(fold) for fold in range(folds)]

    def train(self, stage: Stage) -> None:
        """Train the plans of a stage."""
        self.ahead([stage])
        training, done = self.lessons.in_rounds(stage.lesson), 0
        for group in self._groups(stage.going):
            found = [self._held(stage, each) for each in group]
            if any(state is None for state in found):
                trained = self._trained(training, stage, group, done)
                for each, state in zip(group, trained, strict=True):
                    self.states.save(each.number, stage.name, state)
                self.states.end(stage.key(group))
                found = list[State | None](trained)
            done += len(group) * stage.steps
            for each, held in zip(group, found, strict=True):
                each.state, each.step = held, stage.stop

    def ahead(self, stages: Sequence[Stage]) -> None:
        """Have workers train what these stages will need: they do not depend on each other."""
        if self.elsewhere is None:
            return
        steps: dict[tuple[str, int], int] = {}
        asked: list[Asked] = []
        for stage in stages:
            training = self.lessons.in_rounds(stage.lesson)
            asked += [
                self._asked(training, stage, group, steps)
                for group in self._groups(stage.going)
                if not all(self.states.has(each.number, stage.name) for each in group)
            ]
        self.elsewhere.train([each for each in asked if each.leg.plans])

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

    def _held(self, stage: Stage, each: InTraining) -> State | None:
        lost = self._lost.get((stage.name, each.number))
        return lost or self.states.load(each.number, stage.name)

    def _asked(
        self,
        training: InRounds,
        stage: Stage,
        group: Sequence[InTraining],
        steps: dict[tuple[str, int], int],
    ) -> Asked:
        """A group as workers are to train it; ``steps`` are those that were done of each."""
        key = stage.key(group)
        reasons = [training.why_not(each.plan) for each in group]
        able = [each for each, reason in zip(group, reasons, strict=True) if reason is None]
        unfinished = self.states.unfinished(key)
        leg = Leg(
            stage.lesson,
            tuple(each.plan for each in able),
            stage.stop,
            states_of([each.state if isinstance(each.state, dict) else None for each in able]),
            None if unfinished is None else packed(unfinished),
        )

        def ended(states: list[State] | str) -> None:
            for each, reason in zip(group, reasons, strict=True):
                if reason is not None:
                    self.states.save(each.number, stage.name, reason)
            if isinstance(states, str):  # not kept: another time, workers may not be lost
                self._lost.update({(stage.name, each.number): states for each in able})
                return
            for each, state in zip(able, states, strict=True):
                self.states.save(each.number, stage.name, state)
            self.states.end(key)

        def seen(step: int, words: str) -> None:
            begun = group[0].step
            steps[stage.name, group[0].number] = len(group) * (step - begun)
            done = sum(count for (name, _), count in steps.items() if name == stage.name)
            self.seen(stage.name, done, len(stage.going) * stage.steps, words)

        return Asked(leg, ended, lambda state: self.states.pause(key, unpacked(state)), seen)

    def _trained(
        self, training: InRounds, stage: Stage, group: Sequence[InTraining], done: int
    ) -> list[State]:
        reasons = [training.why_not(each.plan) for each in group]
        able = [each for each, reason in zip(group, reasons, strict=True) if reason is None]
        key = stage.key(group)
        found: list[State] = []
        if able:
            begun = able[0].step

            def epoch(core: Core) -> None:
                self.states.epoch(key, core)
                now = done + len(able) * (core.step - begun)
                self.seen(stage.name, now, len(stage.going) * stage.steps, words_of(core, self.metric))

            found = training.train(
                [each.plan for each in able],
                [each.state if isinstance(each.state, dict) else None for each in able],
                stage.stop,
                unfinished=self.states.unfinished(key),
                seen=epoch,
            )
        trained = iter(found)
        return [next(trained) if reason is None else reason for reason in reasons]

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
