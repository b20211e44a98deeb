"""Which weights are computed from what the model holds, and the program in which they are constants.

A weight norm, a standardised convolution, a merged LoRA adapter, a mask or a slice computes the weight that
is multiplied. What is deployed holds the result: it is computed once, and is a parameter from then on, which
plans round, costs count and exports write.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, fx, nn

from narrower.graph.constants import constant_nodes
from narrower.graph.describe import first_names
from narrower.graph.folded_network import ComputedWeight, Folding, folded_network, layer_of
from narrower.graph.network import PRODUCT_KINDS, Network
from narrower.graph.nodes import kind_of, parameter_behind, resolve
from narrower.graph.program import Program

# Products with a weight of their own: the positions of weight and bias among their arguments.
WEIGHTED = {
    "linear": (1, 2),
    "conv1d": (1, 2),
    "conv2d": (1, 2),
    "conv3d": (1, 2),
    "conv_transpose1d": (1, 2),
    "conv_transpose2d": (1, 2),
    "conv_transpose3d": (1, 2),
}
WITHOUT_WEIGHTS = frozenset({"scaled_dot_product_attention"})


@dataclass(frozen=True, slots=True)
class _Operand:
    """A computed weight or bias; each product that reads it, with the node by which it does."""

    node: fx.Node
    operand: str
    readers: list[tuple[fx.Node, fx.Node]]


def fold_weights(program: Program, model: nn.Module) -> Program:
    """The program with every computed weight as a constant; itself where there is none.

    The program as it was stays in ``unfolded``: widths and training work on what the module computes from.
    """
    copied = program.copy()
    graph, tensors, names = copied.graph, dict(program.tensors), dict(program.parameter_names)
    constant = constant_nodes(graph, tensors)
    operands = _operands(graph, constant)
    if not operands:
        return program
    first = first_names(model)
    held = {node: first.get(name, name) for node, name in names.items()}
    values = _evaluated(graph, tensors, {operand.node for operand in operands})
    was_read = {node.name for node in graph.nodes if node.users}
    placeholders = []
    for operand in operands:
        with graph.inserting_before(next(iter(graph.nodes))):
            placeholder = graph.placeholder(f"computed_{operand.node.name}")
        placeholder.meta["val"] = tensors[placeholder.name] = values[operand.node]
        placeholders.append(placeholder.name)
        for reader, source in operand.readers:
            reader.replace_input_with(source, placeholder)
    gone = _erase_unread(graph, was_read)
    for node in gone & held.keys():
        del tensors[node], names[node]
    unread = {held[node] for node in gone & held.keys()} - {held[node] for node in names}
    weights = _named(program.network, operands, gone, unread)
    names |= {node: weight.name for node, weight in zip(placeholders, weights, strict=True)}
    folding = Folding(weights, frozenset(gone - held.keys()), frozenset(unread))
    graph.lint()
    return replace(
        copied,
        network=folded_network(program.network, folding),
        tensors=tensors,
        parameter_names=names,
        folding=folding,
        unfolded=program,
    )


def _operands(graph: fx.Graph, constant: set[fx.Node]) -> list[_Operand]:
    """The computed operands of products; what is computed twice in the same way is one."""
    forms = _forms(graph, constant)
    found: dict[tuple[int, str], _Operand] = {}
    for node in graph.nodes:
        if node.op != "call_function" or kind_of(node) not in PRODUCT_KINDS or node in constant:
            continue
        for operand, source in _given(node):
            if source in constant and parameter_behind(source) is None:
                known = found.setdefault((forms[source], operand), _Operand(source, operand, []))
                known.readers.append((node, source))
    return sorted(found.values(), key=lambda operand: operand.operand, reverse=True)  # weights first


def _given(product: fx.Node) -> Iterator[tuple[str, fx.Node]]:
    """What a product could have as weight and bias; of two matrices each."""
    kind = kind_of(product)
    if kind in WITHOUT_WEIGHTS:
        return
    given: list[tuple[str, Any]]
    if kind in WEIGHTED:
        positions = zip(WEIGHTED[kind], ("weight", "bias"), strict=True)
        given = [
            (operand, product.args[position])
            for position, operand in positions
            if position < len(product.args)
        ]
    else:
        given = [("weight", argument) for argument in product.args]
    for operand, arguments in given:
        nodes: list[fx.Node] = []
        fx.map_arg(arguments, nodes.append)
        yield from ((operand, node) for node in nodes)


def _forms(graph: fx.Graph, constant: set[fx.Node]) -> dict[fx.Node, int]:
    """A number for each constant node; equal where the same is computed from the same."""
    numbers: dict[str, int] = {}
    found: dict[fx.Node, int] = {}
    for node in graph.nodes:
        if node in constant:
            arguments = fx.map_arg((node.args, node.kwargs), lambda source: f"%{found[source]}")
            form = f"{node.name}" if node.op == "placeholder" else f"{node.target} {arguments}"
            found[node] = numbers.setdefault(form, len(numbers))
    return found


def _evaluated(graph: fx.Graph, tensors: Mapping[str, Tensor], wanted: set[fx.Node]) -> dict[fx.Node, Tensor]:
    """The values of constant nodes, computed by one thread: the same on every machine of a kind."""
    needed, waiting = set[fx.Node](), list(wanted)
    while waiting:
        node = waiting.pop()
        if node not in needed:
            needed.add(node)
            waiting.extend(node.all_input_nodes)
    values: dict[fx.Node, Any] = {}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.no_grad():
            for node in graph.nodes:
                if node not in needed:
                    continue
                if node.op == "placeholder":
                    values[node] = tensors[node.name]
                    continue
                assert callable(node.target)
                swap: Callable[[fx.Node], Any] = values.__getitem__
                values[node] = node.target(*fx.map_arg(node.args, swap), **fx.map_arg(node.kwargs, swap))
    finally:
        torch.set_num_threads(threads)
    return {node: values[node].detach().clone(memory_format=torch.contiguous_format) for node in wanted}


def _erase_unread(graph: fx.Graph, was_read: set[str]) -> set[str]:
    """Erase what nothing reads any more, and return the names."""
    gone = set()
    for node in reversed(graph.nodes):
        if node.op in ("call_function", "placeholder") and not node.users and node.name in was_read:
            gone.add(node.name)
            graph.erase_node(node)
    return gone


def _named(
    network: Network, operands: Sequence[_Operand], gone: Collection[str], unread: Collection[str]
) -> tuple[ComputedWeight, ...]:
    """Names as if the module that multiplies held the result."""
    products = Counter(
        operator.module
        for operator in network.operators
        if operator.kind in PRODUCT_KINDS and operator.name not in gone
    )
    taken = {parameter.name for parameter in network.parameters} - set(unread)
    layers: dict[str, str] = {}  # of products
    found = []
    for operand in operands:
        readers = tuple((reader.name, resolve(source).name) for reader, source in operand.readers)
        first = network.operator_by_name[readers[0][0]]
        is_alone = first.module and first.kind in WEIGHTED and products[first.module] == 1
        biases = [name for name in first.parameters if name.endswith(".bias")]
        layer = layers.get(first.name) or (first.module if is_alone else first.layer)
        if biases and not is_alone and operand.operand == "weight":
            layer = biases[0].removesuffix(".bias")
        name = f"{layer}.{operand.operand}"
        if name in taken:
            name = f"{layer}.computed_{operand.operand}"
        taken.add(name)
        if operand.operand == "weight":
            layers |= dict.fromkeys((reader for reader, _ in readers), layer_of(name))
        found.append(ComputedWeight(name, operand.operand, readers))
    return tuple(found)
