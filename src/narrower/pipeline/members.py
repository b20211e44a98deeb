"""The members of a front whose candidates have weights of their own: trained again alone, and kept."""

from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from narrower.evaluate.evaluator import Evaluator
from narrower.evaluate.quality import Quality
from narrower.export.compressed import save_compressed
from narrower.graph.called_modules import trace_or_call
from narrower.graph.lower import lower
from narrower.graph.program import Program
from narrower.pipeline.problem import Problem
from narrower.pipeline.resized_score import ResizedScore, Widths
from narrower.pipeline.retraining import RetrainingScore
from narrower.plan import Plan
from narrower.tasks.parts import Part
from narrower.tasks.training import train_weights


@dataclass(frozen=True, slots=True)
class Kept:
    """One member trained alone: its quality on the samples of the search, on the test part, and its file."""

    quality: Quality
    test: Quality
    weights: Path | None
    program: Program


class Members:
    """Trains plans one at a time, apart from all others."""

    def __init__(self, problem: Problem, scorer: ResizedScore | RetrainingScore, batch_size: int) -> None:
        self._problem, self._scorer, self._batch_size = problem, scorer, batch_size
        self._trained: dict[Widths, list[nn.Module]] = {}  # members often share their widths

    def keep(self, plan: Plan, path: Path | None) -> Kept:
        """Train a plan, score it, and write its weights (those of its best seed) where a path is given.

        Raises:
            NarrowerError: its loss became no number.
        """
        if isinstance(self._scorer, RetrainingScore):
            models = [self._scorer.trained(plan)]
        else:
            models = self._resized(self._scorer, plan)
        programs = [self._program(model, plan) for model in models]
        qualities = [self._score(program, plan, self._problem.part) for program in programs]
        on_test = [self._score(program, plan, self._problem.data.test) for program in programs]
        best = max(range(len(models)), key=lambda seed: qualities[seed].correct)
        if path is not None:
            save_compressed(models[best], self._problem.model_name, plan, path)
        if isinstance(self._scorer, RetrainingScore):
            return Kept(qualities[0], on_test[0], path, programs[0])
        combined = self._scorer.combined(qualities)
        # Of several seeds the best is delivered, so that it is the one that counts on the test part.
        return Kept(combined, on_test[best], path, programs[best])

    def _resized(self, scorer: ResizedScore, plan: Plan) -> list[nn.Module]:
        widths = tuple(plan.widths.items())
        if widths not in self._trained:
            candidates = self._problem.candidates
            assert candidates is not None
            first, models = self._problem.options.seed, []
            for seed in range(candidates.seeds):
                model = scorer.initial(widths, first + seed)
                if candidates.training is not None:
                    training = replace(candidates.training, seed=candidates.training.seed + seed)
                    model = train_weights(model, self._problem.data, training)
                models.append(model.eval())
            self._trained[widths] = models
        return self._trained[widths]

    def _program(self, model: nn.Module, plan: Plan) -> Program:
        if isinstance(self._scorer, ResizedScore):
            return self._scorer.program(model, tuple(plan.widths.items()))
        return lower(trace_or_call(model, self._problem.data.train.inputs[:3], self._problem.model_name))

    def _score(self, program: Program, plan: Plan, part: Part) -> Quality:
        evaluator = Evaluator(program, part, batch_size=self._batch_size)
        (quality,) = evaluator.evaluate([plan.formats], loss=True)
        return quality
