"""The members of a front whose plans have weights of their own: made again alone, scored, and kept."""

from dataclasses import dataclass
from pathlib import Path

from narrower.data.parts import Part
from narrower.evaluate.evaluator import Evaluator
from narrower.evaluate.intervals import with_intervals
from narrower.export.compressed import save_compressed
from narrower.graph.program import Program
from narrower.plan.plan import Plan
from narrower.preparation.preparation import Preparation
from narrower.study.plan_evaluator import combined
from narrower.study.problem import Problem
from narrower.tasks.quality import Quality, rank


@dataclass(frozen=True, slots=True)
class Kept:
    """One member made alone: its quality on the samples of the search, on the test part, and its file."""

    quality: Quality
    test: Quality
    weights: Path | None
    program: Program


class Members:
    """Prepares plans one at a time, apart from all others."""

    def __init__(self, problem: Problem, preparation: Preparation, batch_size: int) -> None:
        self._problem, self._preparation, self._batch_size = problem, preparation, batch_size

    def keep(self, plan: Plan, path: Path | None) -> Kept:
        """Prepare a plan, score it, and write its weights (those of its best seed) where a path is given.

        Raises:
            NarrowerError: its weights cannot be made.
        """
        prepared = self._preparation.alone(plan)
        programs = [candidate.program for candidate in prepared.candidates]
        qualities = [self._score(program, plan, self._problem.part) for program in programs]
        on_test = [self._score(program, plan, self._problem.data.test) for program in programs]
        task = self._problem.data.task
        best = max(range(len(programs)), key=lambda seed: rank(task, qualities[seed]))
        if path is not None:
            examples = self._problem.subject.examples
            save_compressed(prepared.candidates[best].model, self._problem.model_name, plan, path, examples)
        # Of several seeds the best is delivered, so that it is the one that counts on the test part.
        return Kept(combined(task, prepared, qualities), on_test[best], path, programs[best])

    def _score(self, program: Program, plan: Plan, part: Part) -> Quality:
        evaluator = Evaluator(program, part, batch_size=self._batch_size)
        (quality,) = with_intervals(evaluator, [plan.formats], loss=True)
        return quality
