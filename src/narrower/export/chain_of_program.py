"""The learned network that a program computes under a plan whose widths were learned."""

from narrower.errors import SettingsError
from narrower.graph.program import Program
from narrower.plan.formats.fixed_each import FixedEach
from narrower.plan.plan import Plan
from narrower.preparation.learning.chain_of_network import chain_of_network
from narrower.preparation.learning.deployed import LearnedChain
from narrower.preparation.learning.plan_form import chain_of


def learned_chain(program: Program, plan: Plan) -> LearnedChain | None:
    """The whole numbers of a lowered program; None where it is no chain whose widths were learned."""
    layers = [layer for _, layer in plan.layers]
    each = [(one.data, one.weight, one.bias) for one in layers]
    if not layers or not all(isinstance(chosen, FixedEach) for formats in each for chosen in formats):
        return None
    try:
        names = chain_of_network(program.network).layers
    except SettingsError:
        return None
    held = {program.parameter_names.get(node): tensor for node, tensor in program.tensors.items()}
    state = {name: held[name] for layer in names for name in (f"{layer}.weight", f"{layer}.bias")}
    return chain_of(state, plan, names)


def has_learned_widths(plan: Plan) -> bool:
    """Whether data of a layer have a width for each entry."""
    return any(isinstance(layer.data, FixedEach) for _, layer in plan.layers)
