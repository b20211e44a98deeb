"""Each plan is trained in its number formats, from the model's weights, before it is scored."""

from collections.abc import Iterator, Sequence

from narrower.graph.lower import lower
from narrower.own_code.failures import described
from narrower.plan import Plan
from narrower.preparation.preparation import Candidate, Prepared, Subject
from narrower.preparation.settings import RetrainedSettings
from narrower.training.one_model import train_weights
from narrower.transform.quantized import original_weights, quantized


class Retrained:
    """Quantization-aware training of every plan, one at a time, with the same seed for all."""

    words = "each candidate trained in its number formats, one at a time"
    together = None

    def __init__(self, subject: Subject, settings: RetrainedSettings) -> None:
        self._subject, self._settings = subject, settings.training

    def prepare(self, plans: Sequence[Plan]) -> Iterator[Prepared]:
        """Each plan by itself; one that goes wrong has a failure."""
        for plan in dict.fromkeys(plans):
            try:
                prepared = self.alone(plan)
            except Exception as error:
                prepared = Prepared((plan,), (), described(error))
            yield prepared

    def alone(self, plan: Plan) -> Prepared:
        """The model with the float32 weights that it has after training in a plan's formats.

        Raises:
            NarrowerError: its loss became no number.
        """
        subject = self._subject
        trained = train_weights(quantized(subject.model, plan), subject.data.train, self._settings)
        model = original_weights(subject.model, trained).eval()
        return Prepared((plan,), (Candidate(model, lower(subject.traced(model))),))
