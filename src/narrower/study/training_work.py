"""Groups of plans that are trained by the workers of a backend, some seconds at a time."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from narrower.errors import RunError
from narrower.evaluate.backends.backend import Workers
from narrower.plan.plan import Plan
from narrower.study.lessons import Lesson, Lessons, packed, unpacked
from narrower.tasks.quality import Quality
from narrower.tasks.task import SampleMetric
from narrower.training.bits import bits_of
from narrower.training.continued import CandidateState
from narrower.training.core import Core
from narrower.training.in_rounds import InRounds, State
from narrower.training.saved import own_copies

LEG_SECONDS = 10.0  # after which a training comes back, so that a kill takes no more than that
PROBE_BATCHES = 2  # that each worker trains on first, to compare its bits with those of this process


@dataclass(frozen=True, slots=True)
class Leg:
    """Plans that are trained together up to a step, from ``states`` or, where it was interrupted, further."""

    lesson: Lesson
    plans: tuple[Plan, ...]
    stop: int
    states: bytes  # of each plan, or None
    unfinished: bytes | None = None


@dataclass(frozen=True, slots=True)
class LegAnswer:
    """The state of each plan; or where time ran out, the state of the training. ``words``: how it goes."""

    step: int
    words: str
    states: bytes | None
    unfinished: bytes | None


@dataclass(frozen=True, slots=True)
class _FloatModel:
    fold: int


@dataclass(frozen=True, slots=True)
class _Probe:
    """The bits of a short training."""


class _PausedError(Exception):
    """A training has taken its time; its state was taken before the random numbers are those of before."""

    def __init__(self, state: bytes) -> None:
        super().__init__()
        self.state = state


@dataclass(frozen=True)
class TrainingWork:
    """Trains what it is sent, in any process."""

    lessons: Lessons
    metric: SampleMetric
    probed: tuple[Plan, ...]
    layers: tuple[str, ...] = ()
    _known: dict[Lesson, InRounds] = field(default_factory=dict)

    def warm_up(self) -> None:
        """Nothing is shared."""

    def score(self, tasks: Sequence[Any], loss: bool) -> list[Any]:  # noqa: ARG002 - it trains
        """An answer to each task; None where something went wrong, which this process is to see itself."""
        return [self._answer(task) for task in tasks]

    def probe(self, tasks: Sequence[Any]) -> list[Any]:  # noqa: ARG002 - whatever they are
        """Some plans on a few batches."""
        return [_Probe()]

    def _answer(self, task: Any) -> Any:
        try:
            if isinstance(task, _Probe):
                return self._bits()
            if isinstance(task, _FloatModel):
                return self.lessons.float_weights(task.fold)
            return self._leg(task)
        except Exception:
            return None

    def _bits(self) -> str:
        recipe = replace(self.lessons.how.recipe, max_epochs=1)
        few = self.lessons.train.first(PROBE_BATCHES * recipe.batch_size)
        plans, training = self.probed, InRounds(self.lessons.model, few, recipe)
        states = training.train(
            plans, [None] * len(plans), training.steps, unfinished=None, seen=lambda _core: None
        )
        return bits_of(states)

    def _leg(self, leg: Leg) -> LegAnswer:
        ends = time.monotonic() + LEG_SECONDS
        reached: list[Core] = []

        def seen(core: Core) -> None:
            reached[:] = [core]
            if time.monotonic() > ends and not core.ended:
                raise _PausedError(packed(own_copies(core.state())))

        states, unfinished = None, None
        try:
            states = self._training(leg.lesson).train(
                leg.plans,
                unpacked(leg.states),
                leg.stop,
                unfinished=None if leg.unfinished is None else unpacked(leg.unfinished),
                seen=seen,
            )
        except _PausedError as paused:
            unfinished = paused.state
        step, words = (reached[0].step, words_of(reached[0], self.metric)) if reached else (leg.stop, "")
        return LegAnswer(step, words, None if states is None else packed(states), unfinished)

    def _training(self, lesson: Lesson) -> InRounds:
        if lesson not in self._known:
            self._known.clear()  # one float model after the other
            self._known[lesson] = self.lessons.in_rounds(lesson)
        return self._known[lesson]


@dataclass
class Asked:
    """A group that workers are to train, and what they are to do when they are told how it goes."""

    leg: Leg
    ended: Callable[[list[State] | str], None]  # is given the states, or why its workers were lost
    paused: Callable[[bytes], None]
    seen: Callable[[int, str], None]  # the step of its plans, and how they do


class TrainingsElsewhere:
    """Has groups trained by the workers of a backend; what comes of them is that of this process."""

    def __init__(self, work: TrainingWork, workers: Workers) -> None:
        self._work, self._workers = work, workers
        workers.start(work)

    def close(self) -> None:
        """End the workers."""
        self._workers.close()

    def float_weights(self, folds: int) -> list[bytes]:
        """Those of the float model of each fold.

        Raises:
            RunError: workers were lost over one.
        """
        found = self._workers.score([_FloatModel(fold) for fold in range(folds)], False)
        for fold, answer in enumerate(found):
            if isinstance(answer, Quality):
                raise RunError(f"the float model of fold {fold + 1} could not be trained: {answer.failure}")
        return [
            self._work.lessons.float_weights(fold) if answer is None else answer
            for fold, answer in enumerate(found)
        ]

    def train(self, groups: Sequence[Asked]) -> None:
        """Train groups, as many at a time as there are workers."""
        waiting = list(groups)
        while waiting:
            some = waiting[: max(1, self._workers.workers())]
            answers = self._workers.score([asked.leg for asked in some], False)
            unended = [
                asked for asked, answer in zip(some, answers, strict=True) if not _is_ended(asked, answer)
            ]
            waiting = [*unended, *waiting[len(some) :]]


def _is_ended(asked: Asked, answer: LegAnswer | Quality | None) -> bool:
    """Take an answer; whether nothing more is to be asked of workers."""
    if answer is None:  # it goes wrong, and is to do so in this process
        return True
    if isinstance(answer, Quality):
        asked.ended(str(answer.failure))
        return True
    asked.seen(answer.step, answer.words)
    if answer.states is not None:
        asked.ended(unpacked(answer.states))
        return True
    assert answer.unfinished is not None
    asked.paused(answer.unfinished)
    asked.leg = replace(asked.leg, unfinished=answer.unfinished)
    return False


def words_of(core: Core, metric: SampleMetric) -> str:
    """How the best of the plans in training does."""
    if not core.curve:
        return ""
    _, _, losses, values = core.curve[-1].unbind(dim=1)
    best = int((metric.sign * values).argmax())
    return f"best of {len(values)}: loss {losses[best]:.4f}, {metric.name} {values[best]:.4f}"


def states_of(states: Sequence[CandidateState | None]) -> bytes:
    """States as a leg has them."""
    return packed(list(states))
