"""One training for each choice of channel widths learns all formats; together they propose the plans."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from narrower.errors import NarrowerError
from narrower.graph.folding import fold_batch_norm
from narrower.plan.plan import UNCHANGED, LayerPlan, Plan
from narrower.preparation.learned import Learned, one_by_one
from narrower.preparation.learned_way import Proposal
from narrower.preparation.preparation import Candidate, Prepared, Subject
from narrower.preparation.settings import LearnedShapesSettings
from narrower.transform.resized import wanted_counts, with_counts


@dataclass(frozen=True)
class Shape:
    """A model of some widths (multipliers by layer), what learns it, and the number of its first network."""

    widths: Mapping[str, float]
    subject: Subject
    learned: Learned
    first: int

    def plan_of(self, proposal: Proposal) -> Plan:
        """The plan of a network that the training proposed, with its widths."""
        return with_widths(proposal.plan, self.widths)


class LearnedShapes:
    """Gives each choice of widths a training of its own.

    The resized model has the most important channels of the model, and its batch norms in the layers before
    them; a chain of linear layers is learned from random weights.
    """

    together = None

    def __init__(self, subject: Subject, settings: LearnedShapesSettings) -> None:
        self._subject, self._settings = subject, settings
        self._shapes: list[Shape] = []

    @property
    def words(self) -> str:
        """How plans get their weights."""
        return self._settings.words

    def begin(self, widths: Mapping[str, float], first: int) -> Shape:
        """The shape of some widths, to be trained; ``first`` networks were found before it.

        Raises:
            NarrowerError: the model cannot have these widths, or not be learned with them.
        """
        shape = self.shape(widths, first)
        self._shapes.append(shape)
        return shape

    def shape(self, widths: Mapping[str, float], first: int = 0) -> Shape:
        """The same, of which nothing is found here.

        Raises:
            NarrowerError: as ``begin``.
        """
        subject, channels = self._subject, self._subject.channels
        assert channels is not None
        model = subject.model
        if any(width != 1 for width in widths.values()):
            counts = wanted_counts(channels, widths, {})
            model = with_counts(model, subject.examples, channels, counts, seed=subject.seed).eval()
        folded = fold_batch_norm(model, subject.examples)
        own = replace(subject, model=folded, program=subject.traced(folded), channels=None, multipliers=None)
        return Shape(dict(widths), own, Learned(own, self._settings), first)

    @property
    def members(self) -> dict[int, Plan]:
        """The plans of the fronts so far by their numbers."""
        return {
            shape.first + number: with_widths(plan, shape.widths)
            for shape in self._shapes
            for number, plan in shape.learned.members.items()
        }

    def prepare(self, plans: Sequence[Plan]) -> Iterator[Prepared]:
        """Each plan by itself; one that was not proposed, or was beaten, has a failure."""
        return one_by_one(self, plans)

    def alone(self, plan: Plan) -> Prepared:
        """The weights that the training gave a plan, or the model's own for the empty plan.

        Raises:
            NarrowerError: the plan is not of a front.
        """
        if plan == Plan():
            return Prepared((plan,), (Candidate(self._subject.model, self._subject.lowered),))
        for shape in self._shapes:
            for own in shape.learned.members.values():
                if with_widths(own, shape.widths) == plan:
                    return replace(shape.learned.alone(own), plans=(plan,))
        raise NarrowerError("no training proposed this plan, or one proposed a better one")


def with_widths(plan: Plan, widths: Mapping[str, float]) -> Plan:
    """The plan for a network of these widths."""
    layers: dict[str, LayerPlan] = dict(plan.layers)
    for layer, width in widths.items():
        layers[layer] = replace(layers.get(layer, UNCHANGED), width=width)
    return Plan.of(layers)
