"""What enters the first learned layer of a network: the deployed form of all that lies before it."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, fx

from narrower.data.sizes import SAMPLES_AT_ONCE
from narrower.evaluate.definition import Definition
from narrower.graph.program import Program
from narrower.plan.plan import Plan
from narrower.preparation.learning.chain_of_network import chain_of_network


def entering(lowered: Program, arguments: Sequence[Tensor]) -> Tensor:
    """The values [N, I] that enter the chain of learned layers, of samples of each argument.

    Raises:
        SettingsError: the network's products are no such chain.
    """
    before = _before(lowered, chain_of_network(lowered.network).layers[0])
    batches = zip(*(torch.split(each, SAMPLES_AT_ONCE) for each in arguments), strict=True)
    return torch.cat([before.outputs(Plan(), *batch) for batch in batches])


def _before(lowered: Program, layer: str) -> Definition:
    program = lowered.copy()
    graph = program.graph
    product = next(node for node in graph.nodes if node.meta.get("layer") == layer)
    source, output = product.args[0], next(iter(graph.find_nodes(op="output")))
    assert isinstance(source, fx.Node)
    graph.erase_node(output)
    graph.output(source)
    graph.eliminate_dead_code()
    return Definition(replace(program, graph=graph))
