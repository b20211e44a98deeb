"""All plans have the model's own weights."""

from collections.abc import Iterator, Sequence

from narrower.plan.plan import Plan
from narrower.preparation.preparation import Candidate, Prepared, Subject
from narrower.preparation.settings import SharedSettings


class Shared:
    """One program serves all plans."""

    words = None
    together = None

    def __init__(self, subject: Subject, _settings: SharedSettings) -> None:
        self._candidate = Candidate(subject.model, subject.lowered)

    def prepare(self, plans: Sequence[Plan]) -> Iterator[Prepared]:
        """All plans in one group."""
        yield Prepared(tuple(dict.fromkeys(plans)), (self._candidate,))

    def alone(self, plan: Plan) -> Prepared:
        """The model as it is."""
        return Prepared((plan,), (self._candidate,))
