"""Which values of a graph no input of the network reaches."""

from collections.abc import Container

import torch
from torch import fx


def constant_nodes(graph: fx.Graph, tensors: Container[str]) -> set[fx.Node]:
    """The nodes that neither an input nor chance reaches; ``tensors`` names what the model holds."""
    found: set[fx.Node] = set()
    for node in graph.nodes:
        if node.op == "placeholder":
            is_constant = node.name in tensors
        else:
            is_constant = node.op == "call_function" and all(s in found for s in node.all_input_nodes)
            tags = getattr(node.target, "tags", ())
            is_constant = is_constant and torch.Tag.nondeterministic_seeded not in tags
        if is_constant:
            found.add(node)
    return found
