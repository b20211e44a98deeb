"""Which value of a network is its result."""

from torch import fx

from narrower.export.device.forms import Forms
from narrower.export.device.stored_values import source_of
from narrower.graph.nodes import base_name

SHOWN = frozenset({"reshape", "view", "flatten", "squeeze", "alias"})


def result_of(graph: fx.Graph) -> fx.Node:
    """The value that the network gives: the first where there are several."""
    output = next(node for node in graph.nodes if node.op == "output")
    found = output.args[0]
    found = found[0] if isinstance(found, tuple | list) else found
    assert isinstance(found, fx.Node)
    return found


def gives_result(node: fx.Node, result: fx.Node, forms: Forms) -> bool:
    """Whether a value alone is the result, or is only shown in another shape there."""
    shown = result
    while forms.edge(shown) is None and forms.is_moving(shown) and base_name(shown) in SHOWN:
        if len(shown.all_input_nodes) > 1 or len(source_of(shown).users) > 1:
            break
        shown = source_of(shown)
    return node is shown and sum(u.op != "output" for u in node.users) <= (node is not result)
