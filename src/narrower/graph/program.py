"""A model as an ATen program that can be run, rewritten and exported."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import Tensor, fx

from narrower.graph.network import Network


@dataclass(frozen=True)
class Program:
    """The ATen graph of a model in evaluation mode, and the tensors that it holds.

    Every placeholder of ``graph`` is either in ``tensors`` (parameters, buffers, constants, by node name) or
    one of ``input_names`` (the model's arguments, in order). ``parameter_names`` holds the model's own names
    of the tensors. Rewriting means a copy: a program is never changed in place.
    """

    network: Network
    graph: fx.Graph
    tensors: Mapping[str, Tensor]
    parameter_names: Mapping[str, str]
    input_names: tuple[str, ...]

    def copy(self) -> "Program":
        """The same program with a graph of its own."""
        graph = fx.Graph()
        output = graph.graph_copy(self.graph, {})
        graph.output(output)
        return replace(self, graph=graph, tensors=dict(self.tensors))
