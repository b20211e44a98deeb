"""Candidates that are trained and scored by the workers of a backend, whole groups at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from narrower.evaluate.backends.backend import Workers
from narrower.plan.plan import Plan
from narrower.preparation.catalogue import build_preparation
from narrower.preparation.curves import Curves
from narrower.preparation.groups import Group, InGroups, Made, unpacked
from narrower.preparation.in_folds import InFolds
from narrower.preparation.preparation import KeepsTraining, Subject
from narrower.preparation.retrained import Retrained
from narrower.preparation.settings import PreparationSettings
from narrower.study.scoring import Scoring
from narrower.tasks.quality import Quality, failed
from narrower.training.bits import bits_of
from narrower.training.recipe import Recipe

PROBE_BATCHES = 2  # that each worker trains on first, to compare its bits with those of this process


@dataclass(frozen=True, slots=True)
class GroupAnswer:
    """The quality of each plan of a group, and its weights where they are kept."""

    qualities: Mapping[Plan, Quality]
    weights: bytes | None


@dataclass(frozen=True)
class CandidateWork:
    """Gives groups of candidates their weights and scores them, in any process."""

    settings: PreparationSettings
    subject: Subject
    scoring: Scoring
    curves: Curves | None
    floats: bytes | None = None  # of the float models of folds
    layers: tuple[str, ...] = ()

    def warm_up(self) -> None:
        """Trace the model."""
        _ = self.subject.lowered

    def score(self, tasks: Sequence[Any], loss: bool) -> list[Any]:  # noqa: ARG002 - it is always computed
        """An answer for each group; for a probe, what its bits are."""
        return [self._done(task) for task in tasks]

    def probe(self, tasks: Sequence[Group]) -> list[Any]:
        """The first group on a few batches."""
        return [_Probe(tasks[0].from_the_start)]

    def _done(self, task: Any) -> Any:
        if isinstance(task, _Probe):
            return _digest(self._probed, task.group)
        if isinstance(task, _Again):
            assert isinstance(self._preparation, Retrained)
            return self._preparation.with_seed(task.group, task.seed).weights.packed()
        return self._answer(task)

    def _answer(self, group: Group) -> GroupAnswer:
        preparation = self._preparation
        made = preparation.make(group)
        found = {
            plan: quality
            for prepared in preparation.prepared(group, made)
            for plan, quality in zip(prepared.plans, self.scoring.of(prepared), strict=True)
        }
        return GroupAnswer(found, made.weights.packed() if preparation.keeps else None)

    @cached_property
    def _preparation(self) -> InGroups:
        return self._in_groups(self.settings, self.subject, self.curves)

    @cached_property
    def _probed(self) -> InGroups:
        """The same with one epoch of a few samples."""
        recipe = getattr(self.settings, "training", None)
        if not isinstance(recipe, Recipe):
            return self._preparation
        data = self.subject.data
        few = replace(data, train=data.train.first(PROBE_BATCHES * recipe.batch_size))
        short = replace(self.settings, training=replace(recipe, max_epochs=1))  # type: ignore[type-var]
        return self._in_groups(short, replace(self.subject, data=few), None)

    def _in_groups(self, settings: PreparationSettings, subject: Subject, curves: Curves | None) -> InGroups:
        preparation = build_preparation(settings, subject)
        assert isinstance(preparation, InGroups)
        if isinstance(preparation, KeepsTraining):
            preparation.curves = curves
        if isinstance(preparation, InFolds) and self.floats is not None:
            (floats,) = unpacked(self.floats).states
            assert not isinstance(floats, str)
            preparation.begin_from(floats)
        return preparation


@dataclass(frozen=True, slots=True)
class _Probe:
    group: Group


@dataclass(frozen=True, slots=True)
class _Again:
    """A group that is trained with another seed, and not scored."""

    group: Group
    seed: int


class CandidatesElsewhere:
    """Has the plans of lists prepared and scored by workers; what comes of it is that of this process."""

    def __init__(self, preparation: InGroups, workers: Workers, samples: int) -> None:
        self._preparation, self._workers, self._samples = preparation, workers, samples

    @property
    def count(self) -> int:
        """Groups that are made at a time."""
        return self._workers.workers()

    @property
    def at_once(self) -> int:
        """Plans that a group has at most."""
        return self._preparation.at_once

    def evaluate(self, lists: Sequence[Sequence[Plan]]) -> dict[Plan, Quality]:
        """The qualities of all plans but those whose weights are kept here."""
        found: dict[Plan, Quality] = {}
        for wave in self._preparation.waves(lists):
            for group, answer in zip(wave, self._workers.score(wave, True), strict=True):
                if isinstance(answer, Quality):  # its workers were lost
                    reason = str(answer.failure)
                    self._preparation.lose(group, reason)
                    found |= dict.fromkeys(group.plans, failed(reason, self._samples))
                    continue
                found |= answer.qualities
                if answer.weights is not None:
                    self._preparation.keep(group, unpacked(answer.weights))
        return found

    def with_seeds(self, way: Retrained, groups: Sequence[Group], seeds: Sequence[int]) -> list[Made]:
        """All groups trained with the first seed, then with the next one."""
        tasks = [_Again(group, seed) for seed in seeds for group in groups]
        found = []
        for task, answer in zip(tasks, self._workers.score(tasks, True), strict=True):
            if isinstance(answer, Quality):  # its workers were lost
                states: Sequence[Any] = [str(answer.failure)] * len(task.group.plans)
            else:
                states = unpacked(answer).states
            models = (
                each if isinstance(each, str) else (way.with_weights(each[0]).eval(),) for each in states
            )
            found.append(Made(tuple(models)))
        return found


def _digest(preparation: InGroups, group: Group) -> str:
    """The bits of what a group comes to."""
    states = preparation.make(group).weights.states
    return bits_of(one for each in states for one in ([each] if isinstance(each, str) else each))
