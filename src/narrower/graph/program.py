"""A model as an ATen program that can be run, rewritten and exported."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain

from torch import Tensor, fx, nn

from narrower.graph.describe import module_types
from narrower.graph.folded_network import Folding
from narrower.graph.network import Network
from narrower.graph.nodes import base_name

# Operators that work at any number of channels: no argument of theirs holds a size.
_OF_ANY_WIDTH = frozenset({"linear", "_native_batch_norm_legit_no_training", "getitem", "relu", "tanh"})


@dataclass(frozen=True, eq=False)
class Untraced:
    """A model in evaluation mode that has no graph, and why not."""

    module: nn.Module
    reason: str


@dataclass(frozen=True)
class Program:
    """The ATen graph of a model in evaluation mode, and the tensors that it holds.

    Every placeholder of ``graph`` is either in ``tensors`` (parameters, buffers, constants, by node name) or
    one of ``input_names`` (the model's arguments, in order). ``parameter_names`` holds the model's own names
    of the tensors, and the names of what these became when the program was lowered. Rewriting means a copy: a
    program is never changed in place. With ``untraced`` there is no graph: the network holds the modules that
    were called, and plans are scored by calling the model. Where weights were computed from parameters, they
    are constants here (``folding``); ``unfolded`` is the program before that.
    """

    network: Network
    graph: fx.Graph
    tensors: Mapping[str, Tensor]
    parameter_names: Mapping[str, str]
    input_names: tuple[str, ...]
    untraced: Untraced | None = None
    folding: Folding | None = None
    unfolded: "Program | None" = None

    @property
    def as_traced(self) -> "Program":
        """The program whose parameters are those of the model."""
        return self.unfolded or self

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


def with_weights(program: Program, model: nn.Module, *, shared: bool = False) -> Program | None:
    """The program of ``model``: the traced one with other weights. None where it must be traced anew.

    With ``shared`` weights, nobody changes those of the model any more; otherwise the program has copies. It
    must be traced anew where the model has no graph, where constants are computed from weights, and where it
    does not hold the same modules and tensors.
    """
    held = dict(
        chain(*(named(remove_duplicate=False) for named in (model.named_parameters, model.named_buffers)))
    )
    shapes = {parameter.name: parameter.shape for parameter in program.network.parameters}
    own: Callable[[Tensor], Tensor] = Tensor.detach if shared else Tensor.clone
    tensors = {
        node: own(held[name].detach()) if name in held else program.tensors[node]
        for node, name in program.parameter_names.items()
    }
    if (
        program.untraced is not None
        or program.folding is not None
        or any(tensor.dtype != program.tensors[node].dtype for node, tensor in tensors.items())
        or any(tuple(tensor.shape) != shapes.get(name, tensor.shape) for name, tensor in held.items())
        or module_types(model) != program.network.module_types
        or any(name.endswith("_extra_state") for name in model.state_dict())
    ):
        return None
    return replace(program, tensors=tensors)


def with_parameters(program: Program, model: nn.Module, network: Network) -> Program | None:
    """The program of ``model``, which is the traced one with other widths; None where it must be traced anew.

    ``network`` is the picture of the resized network. A weight that was computed from parameters must be
    computed anew.
    """
    is_resized = network is not program.network
    if program.folding is not None or (
        is_resized
        and any(
            node.op == "call_function" and base_name(node) not in _OF_ANY_WIDTH
            for node in program.graph.nodes
        )
    ):
        return None
    held = model.state_dict()
    tensors = {node: held[name].detach() for node, name in program.parameter_names.items() if name in held}
    if tensors.keys() != program.tensors.keys():
        return None
    return replace(program, network=network, tensors=tensors)
