"""Score candidates after training each of them in its number formats."""

from collections.abc import Mapping, Sequence

from torch import nn

from narrower.evaluate.evaluator import Evaluator
from narrower.evaluate.quality import Quality, failed
from narrower.graph.called_modules import trace_or_call
from narrower.graph.lower import lower
from narrower.pipeline.problem import Problem
from narrower.plan import Plan
from narrower.tasks.training import train_weights
from narrower.tasks.training_settings import TrainingSettings
from narrower.transform.quantized import original_weights, quantized


class RetrainingScore:
    """Quantization-aware training of every plan, from the model's weights, with the same seed for all."""

    training = "each candidate trained in its number formats, one at a time"

    def __init__(self, problem: Problem, settings: TrainingSettings, batch_size: int) -> None:
        self._problem, self._settings, self._batch_size = problem, settings, batch_size
        self._earlier: Mapping[Plan, Quality] = {}
        self.adopted = 0  # plans whose result came from an earlier search

    def adopt(self, results: Mapping[Plan, Quality]) -> None:
        """Use results of an earlier search under the same conditions."""
        self._earlier = results

    def evaluate(self, plans: Sequence[Plan]) -> list[Quality]:
        """Train and score ``plans`` one after the other."""
        qualities = []
        for plan in plans:
            self.adopted += plan in self._earlier
            qualities.append(self._earlier.get(plan) or self._evaluate(plan))
        return qualities

    def trained(self, plan: Plan) -> nn.Module:
        """The model with the float32 weights that it has after training in a plan's formats.

        Raises:
            NarrowerError: its loss became no number.
        """
        problem = self._problem
        candidate = train_weights(quantized(problem.model, plan), problem.data, self._settings)
        return original_weights(problem.model, candidate).eval()

    def _evaluate(self, plan: Plan) -> Quality:
        problem = self._problem
        try:
            program = lower(
                trace_or_call(self.trained(plan), problem.data.train.inputs[:3], problem.model_name)
            )
            evaluator = Evaluator(
                program, problem.part, batch_size=self._batch_size, own_metrics=problem.own_metrics
            )
            (quality,) = evaluator.evaluate([plan], loss=True)
        except Exception as error:
            return failed(f"{type(error).__name__}: {error}", len(problem.part))
        return quality
