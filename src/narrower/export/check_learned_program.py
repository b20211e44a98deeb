"""Which learned networks can be written as logic: their operators, formats and size."""

from torch import fx

from narrower.cost.macs import macs
from narrower.errors import ExportError
from narrower.graph.nodes import base_name
from narrower.graph.program import Program
from narrower.plan.formats.fixed_each import FixedEach
from narrower.plan.plan import Plan

MOVING = frozenset({"reshape", "view", "_unsafe_view", "flatten", "slice", "squeeze", "unsqueeze", "permute"})
CHANGING = frozenset({"conv2d", "linear", "relu", "add", "mul", "max_pool2d"})
MOST_MACS = 50_000  # of one sample; each is an adder or none


def check_program(program: Program, plan: Plan) -> None:
    """Check that logic can be built, before it is.

    Raises:
        ExportError: with the operators that there is no logic for, or the layers whose formats are others.
    """
    if program.untraced is not None:
        raise ExportError(f"{program.untraced.reason}; without a graph there is no logic to build")
    varies = {only_input(program)}
    strange: list[str] = []
    for node in program.graph.nodes:
        if node.op == "call_function" and not varies.isdisjoint(node.all_input_nodes):
            name = base_name(node)
            if name != "sym_size":
                varies.add(node)
                strange += [] if name in MOVING | CHANGING and not _is_refused(node, name) else [node.name]
    if strange:
        raise ExportError(f"no logic for the operators {', '.join(strange)} of {program.network.name}")
    others = [
        layer
        for layer in program.network.multiplying_layers
        if not isinstance(chosen := plan.layer(layer).data, FixedEach) or chosen.overflow == "wrap"
    ]
    if others:
        raise ExportError(f"logic of this network takes learned widths of data; {', '.join(others)}: others")
    total = sum(
        macs(program.network, operator)
        for operators in program.network.multiplying_layers.values()
        for operator in operators
    )
    if total > MOST_MACS:
        raise ExportError(
            f"{program.network.name} multiplies {total:,} times for a sample, and logic has adders for each; "
            f"it is written up to {MOST_MACS:,}"
        )


def _is_refused(node: fx.Node, name: str) -> bool:
    if name == "mul":
        return not isinstance(node.args[1], float | int)
    if name == "max_pool2d":
        return len(node.args) > 3  # noqa: PLR2004 - padding, dilation, rounding up
    return name == "conv2d" and any(isinstance(each, str) for each in node.args[3:])


def only_input(program: Program) -> fx.Node:
    """The node of the one input.

    Raises:
        ExportError: there are several.
    """
    found = [n for n in program.graph.nodes if n.op == "placeholder" and n.name not in program.tensors]
    if len(found) != 1:
        raise ExportError(f"{program.network.name} has {len(found)} inputs; logic is built for one")
    return found[0]  # type: ignore[no-any-return]
