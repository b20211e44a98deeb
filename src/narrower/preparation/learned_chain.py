"""The chain of linear layers that ends a model, learned; what lies before it stays as it is, in float32."""

from collections.abc import Iterable
from pathlib import Path

from narrower.cost.network_cost import NetworkCost
from narrower.data.parts import Part
from narrower.graph.program import Program
from narrower.plan.plan import Plan
from narrower.preparation.learned_way import Passed, Proposal, Proposed, Saving
from narrower.preparation.learning.chain_of_network import ChainOfLayers
from narrower.preparation.learning.deployed import LearnedChain
from narrower.preparation.learning.entering import entering
from narrower.preparation.learning.learn import learn_shapes
from narrower.preparation.learning.members import Member
from narrower.preparation.learning.plan_form import plan_of, state_of
from narrower.preparation.learning.price import price_of
from narrower.preparation.learning.training import Pricing
from narrower.preparation.preparation import Subject
from narrower.preparation.settings import LearnedSettings


class ChainWay:
    """Learns from random weights, several candidates at once."""

    def __init__(self, subject: Subject, settings: LearnedSettings, chain: ChainOfLayers) -> None:
        self._subject, self._settings, self._chain = subject, settings, chain
        self._known: dict[int, Proposal] = {}

    def learn(
        self, validation: Part, proposed: Proposed, passed: Passed, keep: Path | None, saving: Saving | None
    ) -> tuple[Proposal, ...]:
        """See ``Way``."""
        data, lowered = self._subject.data, self._subject.lowered

        def told(member: Member[LearnedChain]) -> None:
            proposed(self._proposal(member, validation))

        def progress(epoch: int, members: Iterable[Member[LearnedChain]]) -> None:
            passed(epoch, self._proposals(members, validation))

        found = learn_shapes(
            [self._chain.sizes],
            _entering(lowered, data.train),
            _entering(lowered, validation),
            self._settings.of(len(data.train)),
            progress,
            keep,
            told,
            None if saving is None else lambda _training: saving(),
            ends_in_relu=self._chain.ends_in_relu,
            pricing=self._pricing(),
        )
        return self._proposals(found.members, validation)

    def _pricing(self) -> Pricing | None:
        name, network = self._settings.cost, self._subject.program.network
        if name == "ebops":
            return None
        cost = NetworkCost(network)
        return Pricing(price_of(name, network), lambda chain: float(cost.of(self._plan(chain))[name]))

    def _plan(self, chain: LearnedChain) -> Plan:
        return plan_of(chain, self._chain.layers, self._settings.granularity, self._settings.allowed)

    def _proposals(self, members: Iterable[Member[LearnedChain]], validation: Part) -> tuple[Proposal, ...]:
        found = {member.number: self._proposal(member, validation) for member in members}
        self._known = found
        return tuple(found.values())

    def _proposal(self, member: Member[LearnedChain], validation: Part) -> Proposal:
        if member.number in self._known:
            return self._known[member.number]
        chain = member.network
        return Proposal(
            member.number,
            self._plan(chain),
            member.cost,
            float(chain.ebops),
            member.quality / len(validation),
            lambda: state_of(chain, self._chain.layers),
        )


def _entering(lowered: Program, part: Part) -> Part:
    """What enters the first learned layer, of each sample."""
    return Part(entering(lowered, part.arguments), part.targets)
