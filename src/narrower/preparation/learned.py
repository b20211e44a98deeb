"""One training learns the widths of all layers, and proposes plans that have weights of their own."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from torch import nn

from narrower.data.parts import Part
from narrower.errors import NarrowerError, SettingsError
from narrower.graph.lower import lower
from narrower.graph.network import Network
from narrower.graph.own_copy import own_copy
from narrower.graph.program import Program
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.plan import Plan
from narrower.preparation.learned_chain import ChainWay
from narrower.preparation.learned_program import ProgramWay
from narrower.preparation.learned_way import Proposal, Proposed, Saving, Way
from narrower.preparation.learning.chain_of_network import ChainOfLayers, chain_of_network
from narrower.preparation.learning.programs.operands import operands_of
from narrower.preparation.preparation import Candidate, Preparation, Prepared, Subject
from narrower.preparation.settings import LearnedSettings
from narrower.tasks.classification.task import CLASSIFICATION
from narrower.tasks.task import Task

OF_WEIGHTS = ("model_size", "average_bitwidth")
OF_FIXED_POINT = ("ebops", "energy")


def one_by_one(preparation: Preparation, plans: Sequence[Plan]) -> Iterator[Prepared]:
    """Each plan alone; one that the preparation refuses has a failure."""
    for plan in dict.fromkeys(plans):
        try:
            yield preparation.alone(plan)
        except NarrowerError as error:
            yield Prepared((plan,), (), str(error))


class Learned:
    """Learns a model: the chain of linear layers that ends it, or where it is no chain, all its layers.

    Its plans are those that ``learn`` has proposed and that no later one has beaten.
    """

    together = None

    def __init__(self, subject: Subject, settings: LearnedSettings) -> None:
        self._subject, self._settings = subject, settings
        chain = learnable_chain(subject.lowered, subject.data.task, settings, subject.kept)
        self._way: Way = (
            ProgramWay(subject, settings) if chain is None else ChainWay(subject, settings, chain)
        )
        self._held: dict[int, Proposal] = {}

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
        saving: Saving | None = None,
    ) -> None:
        """Train.

        ``proposed`` is told of each new member, ``progress`` of each epoch and the size of the front. For the
        rest see ``Way.learn``.
        """

        def passed(epoch: int, front: Iterable[Proposal]) -> None:
            self._hold(front)
            if progress is not None:
                progress(epoch, len(self._held))

        self._hold(self._way.learn(validation, proposed, passed, keep, saving))

    def _hold(self, front: Iterable[Proposal]) -> None:
        self._held = {proposal.number: proposal for proposal in front}

    @property
    def members(self) -> dict[int, Plan]:
        """The plans of the front so far by their numbers."""
        return {number: proposal.plan for number, proposal in self._held.items()}

    def prepare(self, plans: Sequence[Plan]) -> Iterator[Prepared]:
        """Each plan by itself; one that was not proposed, or was beaten, has a failure."""
        return one_by_one(self, plans)

    def alone(self, plan: Plan) -> Prepared:
        """The weights that the training gave a plan, or the model's own for the empty plan.

        Raises:
            NarrowerError: the plan is not of the front.
        """
        if plan == Plan():
            return Prepared((plan,), (Candidate(self._subject.model, self._subject.lowered),))
        found = next((proposal for proposal in self._held.values() if proposal.plan == plan), None)
        if found is None:
            raise NarrowerError("the training did not propose this plan, or proposed a better one")
        model = own_copy(self._subject.model)
        model.load_state_dict(dict(found.state()), strict=False)
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


def learnable_chain(
    lowered: Program, task: Task, settings: LearnedSettings, kept: Plan
) -> ChainOfLayers | None:
    """The chain that a model is; None where its layers are learned from the weights that they have.

    ``kept`` has the formats of what is not learned.

    Raises:
        SettingsError: with the layers that cannot be learned in either way.
    """
    if not settings.learns_both:
        _check_kept(lowered.network, settings, kept)
    elif task == CLASSIFICATION and lowered.untraced is None:
        with suppress(SettingsError):
            return chain_of_network(lowered.network)
    operands_of(lowered, settings.granularity)
    return None


def _check_kept(network: Network, settings: LearnedSettings, kept: Plan) -> None:
    """Whether the cost depends on what is learned, and can be had of what is not."""
    learned, cost = settings.operands[0], settings.cost
    if learned == "data" and cost in OF_WEIGHTS:
        raise SettingsError(f"learn: found ['data'], and {cost} is of weights alone; allowed: 'weight' in it")
    other, key = ("weight", "weight_width") if learned == "data" else ("data", "data_in_width")
    floats = [
        layer
        for layer, operators in network.multiplying_layers.items()
        if getattr(kept.layer(layer), other) == FLOAT32
        and (other == "data" or any(network.weight_of(operator) is not None for operator in operators))
    ]
    if floats and cost in OF_FIXED_POINT:
        raise SettingsError(
            f"learn: found [{learned!r}], and {cost} is of numbers in fixed point; {other} of "
            f"{', '.join(floats)} is float32; allowed: {key}, such as [8], or another cost, such as bitops"
        )
