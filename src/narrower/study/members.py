"""The members of a front whose plans have weights of their own: scored as they are delivered, and kept."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from narrower.data.parts import Part
from narrower.evaluate.evaluator import Evaluator
from narrower.evaluate.held_out import held_out
from narrower.evaluate.intervals import with_intervals
from narrower.export.compressed import save_compressed
from narrower.graph.program import Program
from narrower.plan.plan import Plan
from narrower.preparation.in_folds import InFolds
from narrower.preparation.preparation import Preparation
from narrower.preparation.resized import Resized
from narrower.preparation.retrained import Retrained
from narrower.preparation.settings import RetrainedSettings
from narrower.study.candidate_work import CandidatesElsewhere
from narrower.study.front_seeds import of_seeds
from narrower.study.problem import Problem
from narrower.study.scoring import combined, held_out_of
from narrower.tasks.intervals import interval
from narrower.tasks.quality import Quality, rank
from narrower.tasks.spread import Contributions
from narrower.tasks.task import leading


@dataclass(frozen=True, slots=True)
class Kept:
    """One member: its quality on the samples of the search, on the test part, and its file.

    ``was_made_again``: apart from all others, as the weights that it was scored with were not kept, or are
    those of folds.
    """

    quality: Quality
    test: Quality
    weights: Path | None
    program: Program
    was_made_again: bool


class Members:
    """Takes the weights that plans were scored with, or prepares them again one at a time."""

    def __init__(
        self,
        problem: Problem,
        preparation: Preparation,
        batch_size: int,
        elsewhere: CandidatesElsewhere | None = None,
    ) -> None:
        self._problem, self._preparation, self._batch_size = problem, preparation, batch_size
        self._elsewhere = elsewhere

    def keep(self, plan: Plan, path: Path | None) -> Kept:
        """Score a plan, and write its weights (those of its best seed) where a path is given.

        Raises:
            NarrowerError: its weights cannot be made.
        """
        made = self._preparation
        if isinstance(made, InFolds):
            return self._in_folds(made, plan, path)
        kept = made.kept(plan) if isinstance(made, Retrained | Resized) else None
        prepared = kept or self._preparation.alone(plan)
        programs = [candidate.program for candidate in prepared.candidates]
        qualities = [self._score(program, plan, self._problem.part) for program in programs]
        on_test = [self._score(program, plan, self._problem.data.test) for program in programs]
        task = self._problem.data.task
        best = max(range(len(programs)), key=lambda seed: rank(task, qualities[seed]))
        if path is not None:
            examples = self._problem.subject.examples
            save_compressed(prepared.candidates[best].model, self._problem.model_name, plan, path, examples)
        # Of several seeds the best is delivered, so that it is the one that counts on the test part.
        quality = combined(task, prepared, qualities)
        return Kept(quality, on_test[best], path, programs[best], kept is None)

    def trainings(self, plans: Sequence[Plan], kept: Sequence[Kept]) -> list[Contributions] | None:
        """What samples contribute with each of several seeds; None where one is all that is asked for."""
        made, settings = self._preparation, self._problem.preparation
        if not isinstance(made, Retrained) or not isinstance(settings, RetrainedSettings):
            return None
        if settings.front_seeds == 1:
            return None
        programs = [each.program for each in kept]
        return of_seeds(self._problem, made, settings, plans, programs, self._elsewhere)

    def _in_folds(self, made: InFolds, plan: Plan, path: Path | None) -> Kept:
        """Delivered is what the training part teaches; the interval is that of all samples of the folds."""
        scored = held_out(held_out_of(made.kept(plan) or made.alone(plan)), self._batch_size)
        (candidate,) = made.delivered(plan).candidates
        quality, on_test = (
            self._score(candidate.program, plan, part)
            for part in (self._problem.part, self._problem.data.test)
        )
        if path is not None:
            examples = self._problem.subject.examples
            save_compressed(candidate.model, self._problem.model_name, plan, path, examples)
        bounds = interval(leading(self._problem.data.task), scored.contributions)
        return Kept(replace(quality, interval=bounds), on_test, path, candidate.program, True)

    def _score(self, program: Program, plan: Plan, part: Part) -> Quality:
        evaluator = Evaluator(program, part, batch_size=self._batch_size)
        (quality,) = with_intervals(evaluator, [plan.formats], loss=True)
        return quality
