"""Each plan has the model's weights, changed for its formats without training."""

from collections.abc import Iterator, Sequence

from torch import nn

from narrower.evaluate.adjustments import adjusted
from narrower.graph.lower import lower
from narrower.own_code.failures import described
from narrower.plan.plan import Plan
from narrower.preparation.groups import Group, Made, MadeWeights, in_turn
from narrower.preparation.preparation import Candidate, Prepared, Subject
from narrower.preparation.settings import AdjustedSettings


class Adjusted:
    """Nothing is trained and nothing is drawn: a plan becomes the same whenever it is prepared."""

    together = None
    at_once = 1
    keeps = False

    def __init__(self, subject: Subject, settings: AdjustedSettings) -> None:
        self._subject, self._ways = subject, settings.ways
        self._inputs = tuple(argument[: settings.samples] for argument in subject.data.train.arguments)

    @property
    def words(self) -> str:
        """What is changed."""
        return f"each candidate adjusted to its formats: {', '.join(self._ways)}"

    def prepare(self, plans: Sequence[Plan]) -> Iterator[Prepared]:
        """Each plan by itself; one that goes wrong has a failure."""
        return in_turn(self, plans)

    def waves(self, lists: Sequence[Sequence[Plan]]) -> Iterator[list[Group]]:
        """Each plan by itself, all at once."""
        yield [Group((plan,)) for plan in dict.fromkeys(plan for plans in lists for plan in plans)]

    def make(self, group: Group) -> Made:
        """The model with weights changed for one plan."""
        (plan,) = group.plans
        try:
            return Made(((self._adjusted(plan),),))
        except Exception as error:
            return Made((described(error),))

    def prepared(self, group: Group, made: Made) -> Iterator[Prepared]:
        """One plan."""
        (plan,), (models,) = group.plans, made.models
        if isinstance(models, str):
            yield Prepared((plan,), (), models)
            return
        try:
            yield self._prepared(plan, models[0])
        except Exception as error:
            yield Prepared((plan,), (), described(error))

    def keep(self, group: Group, weights: MadeWeights) -> None:
        """Nothing is remembered: a plan becomes the same once more."""

    def lose(self, group: Group, reason: str) -> None:
        """Nothing is remembered."""

    def alone(self, plan: Plan) -> Prepared:
        """The model with weights changed for one plan.

        Raises:
            ModelError: it cannot be traced.
        """
        return self._prepared(plan, self._adjusted(plan))

    def _adjusted(self, plan: Plan) -> nn.Module:
        return adjusted(self._subject.model, plan.formats, self._inputs, self._ways)

    def _prepared(self, plan: Plan, model: nn.Module) -> Prepared:
        return Prepared((plan,), (Candidate(model, lower(self._subject.traced(model))),))
