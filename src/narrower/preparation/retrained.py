"""Each plan is trained in its number formats, from the model's weights, before it is scored."""

from collections.abc import Iterator, Sequence
from functools import cached_property

from torch import nn

from narrower.graph.lower import lower
from narrower.graph.network import numel
from narrower.graph.program import with_parameters
from narrower.own_code.failures import described
from narrower.plan.plan import Plan
from narrower.preparation.preparation import Candidate, Prepared, Subject
from narrower.preparation.settings import RetrainedSettings
from narrower.training.many import is_together, train_all, train_in_formats

MOST_TOGETHER = 32  # candidates that are trained at once
MOST_VALUES = 2**26  # numbers that the layers of these may hold for one batch


class Retrained:
    """Quantization-aware training of every plan with the same seed: many at once, with the same results."""

    def __init__(self, subject: Subject, settings: RetrainedSettings) -> None:
        self._subject, self._recipe = subject, settings.training

    @property
    def words(self) -> str:
        """How plans are trained."""
        at_once = "one at a time" if self._at_once == 1 else f"up to {self._at_once} at once"
        return f"each candidate trained in its number formats, {at_once}"

    @property
    def together(self) -> int | None:
        """Many that are trained at once take less time."""
        return self._at_once if self._at_once > 1 else None

    def prepare(self, plans: Sequence[Plan]) -> Iterator[Prepared]:
        """Each plan by itself; one that goes wrong has a failure."""
        every = list(dict.fromkeys(plans))
        for start in range(0, len(every), self._at_once):
            some = every[start : start + self._at_once]
            for plan, trained in zip(some, self._trained(some), strict=True):
                if isinstance(trained, str):
                    yield Prepared((plan,), (), trained)
                else:
                    yield self._prepared(plan, trained)

    def alone(self, plan: Plan) -> Prepared:
        """The model with the float32 weights that it has after training in a plan's formats.

        Raises:
            NarrowerError: its loss became no number.
        """
        subject = self._subject
        model = train_in_formats(subject.model, plan, subject.data.train, self._recipe, teacher=self._teacher)
        return self._prepared(plan, model)

    @property
    def _teacher(self) -> nn.Module | None:
        return self._subject.model if self._recipe.distillation else None

    def _trained(self, plans: Sequence[Plan]) -> list[nn.Module | str]:
        models = [self._subject.model] * len(plans)
        try:
            return train_all(models, plans, self._subject.data.train, self._recipe, teacher=self._teacher)
        except Exception as error:  # the user's own code
            return [described(error)] * len(plans)

    def _prepared(self, plan: Plan, model: nn.Module) -> Prepared:
        subject = self._subject
        program = with_parameters(subject.program, model, subject.program.network)
        return Prepared((plan,), (Candidate(model, lower(program or subject.traced(model))),))

    @cached_property
    def _at_once(self) -> int:
        """Candidates that are trained at once, so that memory suffices."""
        if not is_together(self._recipe):
            return 1
        operators = self._subject.program.network.operators
        values = sum(numel(operator.output_shape, self._recipe.batch_size) for operator in operators)
        return max(1, min(MOST_TOGETHER, MOST_VALUES // max(1, values)))
