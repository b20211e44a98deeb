"""Each plan has the model's weights, changed for its formats without training."""

from collections.abc import Iterator, Sequence

from narrower.evaluate.adjustments import adjusted
from narrower.graph.lower import lower
from narrower.own_code.failures import described
from narrower.plan.plan import Plan
from narrower.preparation.preparation import Candidate, Prepared, Subject
from narrower.preparation.settings import AdjustedSettings


class Adjusted:
    """Nothing is trained and nothing is drawn: a plan becomes the same whenever it is prepared."""

    together = None

    def __init__(self, subject: Subject, settings: AdjustedSettings) -> None:
        self._subject, self._ways = subject, settings.ways
        self._inputs = tuple(argument[: settings.samples] for argument in subject.data.train.arguments)

    @property
    def words(self) -> str:
        """What is changed."""
        return f"each candidate adjusted to its formats: {', '.join(self._ways)}"

    def prepare(self, plans: Sequence[Plan]) -> Iterator[Prepared]:
        """Each plan by itself; one that goes wrong has a failure."""
        for plan in dict.fromkeys(plans):
            try:
                yield self.alone(plan)
            except Exception as error:
                yield Prepared((plan,), (), described(error))

    def alone(self, plan: Plan) -> Prepared:
        """The model with weights changed for one plan.

        Raises:
            ModelError: it cannot be traced.
        """
        model = adjusted(self._subject.model, plan.formats, self._inputs, self._ways)
        return Prepared((plan,), (Candidate(model, lower(self._subject.traced(model))),))
