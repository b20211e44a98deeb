"""Which operators are computed in the step of the one before them."""

from collections.abc import Container

from torch import fx

from narrower.export.device import elementwise
from narrower.export.device.forms import Forms
from narrower.export.device.shapes import sample_shape
from narrower.export.device.stored_values import StoredValues
from narrower.graph.nodes import base_name


def chain_behind(
    node: fx.Node, forms: Forms, values: StoredValues, constants: Container[fx.Node]
) -> list[fx.Node]:
    """The operators behind a node that each need its result alone, and values that are there already."""
    chain: list[fx.Node] = []
    while True:
        if forms.edge(node) is not None:
            return chain
        users = [user for user in node.users if user.op != "output" and base_name(user) != "sym_size"]
        if len(users) != 1 or len(node.users) != len(users):
            return chain
        (user,) = users
        is_known = elementwise.is_known(user) or base_name(user) in elementwise.TABLES
        if (
            not is_known
            or sample_shape(user) != sample_shape(node)
            or not _has_others(user, node, constants, values)
        ):
            return chain
        chain.append(user)
        node = user


def _has_others(user: fx.Node, node: fx.Node, constants: Container[fx.Node], values: StoredValues) -> bool:
    return (
        all(other is node or other in constants or values.is_there(other) for other in user.all_input_nodes)
        and sum(argument is node for argument in user.args) == 1
    )
