"""The learned network that a program computes under a plan whose widths were learned."""

from narrower.formats.fixed_each import FixedEach
from narrower.graph.program import Program
from narrower.learning.chain_of_network import chain_of_network
from narrower.learning.deployed import LearnedChain
from narrower.learning.plan_form import chain_of
from narrower.plan import Plan


def learned_chain(program: Program, plan: Plan) -> LearnedChain | None:
    """The whole numbers of a lowered program; None where the plan's widths were not learned.

    Raises:
        SettingsError: not all layers are learned ones.
    """
    if not any(isinstance(layer.weight, FixedEach) for _, layer in plan.layers):
        return None
    names = chain_of_network(program.network).layers
    held = {program.parameter_names.get(node): tensor for node, tensor in program.tensors.items()}
    state = {name: held[name] for layer in names for name in (f"{layer}.weight", f"{layer}.bias")}
    return chain_of(state, plan, names)
