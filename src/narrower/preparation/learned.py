"""One training learns the widths of all layers, and proposes plans that have weights of their own."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from torch import nn

from narrower.data.parts import Part
from narrower.errors import NarrowerError
from narrower.graph.lower import lower
from narrower.graph.own_copy import own_copy
from narrower.graph.program import Program
from narrower.plan.plan import Plan
from narrower.preparation.learning.chain_of_network import ChainOfLayers, chain_of_network
from narrower.preparation.learning.deployed import LearnedChain
from narrower.preparation.learning.entering import entering
from narrower.preparation.learning.learn import learn_shapes
from narrower.preparation.learning.members import Member
from narrower.preparation.learning.plan_form import plan_of, state_of
from narrower.preparation.learning.training import Saved
from narrower.preparation.preparation import Candidate, Prepared, Subject
from narrower.preparation.settings import LearnedSettings

Proposed = Callable[[Member, Plan], None]


class Learned:
    """Learns the chain of linear layers that ends the model; what lies before it stays as it is, in float32.

    Its plans are those that ``learn`` has proposed and that no later one has beaten.
    """

    together = None

    def __init__(self, subject: Subject, settings: LearnedSettings) -> None:
        self._subject, self._settings = subject, settings
        self.chain: ChainOfLayers = chain_of_network(subject.program.network)
        self._held: dict[int, tuple[Plan, LearnedChain]] = {}

    @property
    def words(self) -> str:
        """How plans get their weights."""
        return self._settings.words

    def learn(
        self,
        validation: Part,
        proposed: Proposed,
        progress: Callable[[int, int], None] | None = None,
        keep: Path | None = None,
        saving: Saved | None = None,
    ) -> None:
        """Train.

        ``proposed`` is told of each new member with its plan. For the rest see ``learn_shapes``.
        """
        data = self._subject.data

        def told(member: Member) -> None:
            proposed(member, self.plan(member.chain))

        def passed(epoch: int, members: Iterable[Member]) -> None:
            self._hold(members)
            if progress is not None:
                progress(epoch, len(self._held))

        found = learn_shapes(
            [self.chain.sizes],
            self._entering(data.train),
            self._entering(validation),
            self._settings.of(len(data.train)),
            passed,
            keep,
            told,
            saving,
            ends_in_relu=self.chain.ends_in_relu,
        )
        self._hold(found.members)

    def _hold(self, members: Iterable[Member]) -> None:
        self._held = {
            member.number: self._held.get(member.number) or (self.plan(member.chain), member.chain)
            for member in members
        }

    @property
    def members(self) -> dict[int, Plan]:
        """The plans of the front so far by their numbers."""
        return {number: plan for number, (plan, _) in self._held.items()}

    def plan(self, chain: LearnedChain) -> Plan:
        """The plan of a learned network."""
        settings = self._settings
        return plan_of(chain, self.chain.layers, settings.granularity, settings.allowed)

    def prepare(self, plans: Sequence[Plan]) -> Iterator[Prepared]:
        """Each plan by itself; one that was not proposed, or was beaten, has a failure."""
        for plan in dict.fromkeys(plans):
            try:
                yield self.alone(plan)
            except NarrowerError as error:
                yield Prepared((plan,), (), str(error))

    def alone(self, plan: Plan) -> Prepared:
        """The weights that the training gave a plan, or the model's own for the empty plan.

        Raises:
            NarrowerError: the plan is not of the front.
        """
        if plan == Plan():
            return Prepared((plan,), (Candidate(self._subject.model, self._subject.lowered),))
        chain = dict(self._held.values()).get(plan)
        if chain is None:
            raise NarrowerError("the training did not propose this plan, or proposed a better one")
        state = state_of(chain, self.chain.layers)
        model = own_copy(self._subject.model)
        model.load_state_dict(state, strict=False)
        return Prepared((plan,), (Candidate(model.eval(), lower(self._program(model))),))

    def _program(self, model: nn.Module) -> Program:
        """The program of a model that differs in the values of its weights alone."""
        program = self._subject.program
        if program.folding is not None:
            return self._subject.traced(model)
        held = model.state_dict()
        tensors = {
            node: held[name].detach() if (name := program.parameter_names.get(node)) in held else tensor
            for node, tensor in program.tensors.items()
        }
        return replace(program, tensors=tensors)

    def _entering(self, part: Part) -> Part:
        """What enters the first learned layer, of each sample."""
        return Part(entering(self._subject.lowered, part.arguments), part.targets)
