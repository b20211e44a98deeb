"""A model as an ATen program that can be run, rewritten and exported."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

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

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of the operators and of every tensor."""
        digest = hashlib.sha256()
        for operator in self.network.operators:
            digest.update(f"{operator.target}{operator.layer}{operator.inputs}{operator.attributes}".encode())
        for node in sorted(self.tensors):
            tensor = self.tensors[node]
            digest.update(f"{self.parameter_names.get(node)}{tensor.dtype}{tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def copy(self) -> "Program":
        """The same program with a graph of its own."""
        graph = fx.Graph()
        output = graph.graph_copy(self.graph, {})
        graph.output(output)
        return replace(self, graph=graph, tensors=dict(self.tensors))
