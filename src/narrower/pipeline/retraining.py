"""Score candidates after training each of them in its number formats."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from narrower.evaluate.evaluator import Evaluator
from narrower.evaluate.quality import Quality, failed
from narrower.graph.lower import lower
from narrower.graph.trace import trace
from narrower.plan import Plan
from narrower.tasks.checkpoints import load_weights
from narrower.tasks.training import train
from narrower.tasks.training_settings import TrainingSettings
from narrower.transform.quantized import original_weights, quantized

if TYPE_CHECKING:
    from narrower.pipeline.problem import Problem


class RetrainingScore:
    """Quantization-aware training of every plan, from the model's weights, with the same seed for all."""

    def __init__(self, problem: "Problem", settings: TrainingSettings, evaluator: Evaluator) -> None:
        self._problem, self._settings, self._evaluator = problem, settings, evaluator

    def evaluate(self, plans: Sequence[Plan]) -> list[Quality]:
        """Train and score ``plans`` one after the other."""
        return [self._evaluate(plan) for plan in plans]

    def _evaluate(self, plan: Plan) -> Quality:
        problem = self._problem
        try:
            candidate = quantized(problem.model, plan)
            with tempfile.TemporaryDirectory() as directory:
                settings = replace(self._settings, log_every_n_steps=10**9)
                result = train(candidate, problem.data, settings, Path(directory), show_progress=False)
                trained = load_weights(candidate, result.best_checkpoint)
            model = original_weights(problem.model, trained)
            program = lower(trace(model, problem.data.train.inputs[:3], problem.model_name))
            evaluator = Evaluator(
                program, problem.part, batch_size=self._evaluator.batch_size, own_metrics=problem.own_metrics
            )
            (quality,) = evaluator.evaluate([plan], loss=True)
        except Exception as error:
            return failed(f"{type(error).__name__}: {error}", len(problem.part))
        return quality
