"""Which operands of a network's layers have widths that can be learned, and which layers have not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

import torch
from torch import Tensor, fx

from narrower.errors import SettingsError
from narrower.graph.folded_network import layer_of
from narrower.graph.network import TABLE_KINDS, BatchSize, Network, Operator
from narrower.graph.nodes import base_name, parameter_behind, rounded_operand
from narrower.graph.program import Program
from narrower.plan.plan import Plan
from narrower.preparation.learning.settings import WeightGranularity

Shape = tuple[int, ...]
OUTPUT_AXES = {"matmul": -1, "conv_transpose1d": 1, "conv_transpose2d": 1, "conv_transpose3d": 1}


@dataclass(frozen=True, slots=True)
class Coefficients:
    """A weight or bias of a layer: a parameter of the model, and the shape in which it has widths."""

    layer: str
    operand: str  # "weight" or "bias"
    node: str
    parameter: str
    shape: Shape
    widths: Shape


@dataclass(frozen=True, slots=True)
class Data:
    """What a layer reads, and the shape in which it has widths, which goes with its last axes."""

    layer: str
    widths: Shape


@dataclass(frozen=True)
class Operands:
    """Everything of a network that is learned, and its other parameters, by the nodes of the program.

    ``kept`` has the formats of operands whose widths are not learned.
    """

    coefficients: tuple[Coefficients, ...]
    data: tuple[Data, ...]
    others: Mapping[str, str]  # node, and the name of the parameter
    kept: Plan = field(default_factory=Plan)


def operands_of(
    program: Program,
    granularity: WeightGranularity,
    learned: Sequence[str] = ("data", "weight"),
    kept: Plan = Plan(),  # noqa: B008 - a frozen value
) -> Operands:
    """The operands of a lowered program: those of ``learned``, where "weight" means biases as well.

    A weight has one width, one for each output, or one for each entry. Data have one for each channel of a
    convolution, and for each input of a linear layer, unless ``granularity`` is "tensor"; those of products
    of two activations always have one. A bias has one.

    Raises:
        SettingsError: with every layer that cannot be learned, and why.
    """
    if program.untraced is not None:
        raise SettingsError(f"{program.network.name} cannot be learned: {program.untraced.reason}")
    problems = _recurrent(program.network) | _computed(program)
    read, shared = _reading(program), _shared(program)
    coefficients = []
    for (layer, operand), nodes in _held(program).items():
        node = nodes[0]
        name = program.parameter_names.get(node, "")
        others = {reader for other in shared[node] for reader in read.get(other, ())} - {(layer, operand)}
        if others or len(set(nodes)) > 1:
            problems.setdefault(layer, f"its {operand} is read elsewhere: {_said(others)}")
            continue
        parameter = program.network.parameter_by_name.get(name)
        if parameter is None or parameter.is_buffer:
            known = "shared with another layer" if name else "no parameter"
            problems.setdefault(layer, f"its {operand} is {known}")
            continue
        widths = _weight_widths(program.network, layer, parameter.shape, granularity)
        if operand == "bias":
            widths = (1,) * len(parameter.shape)
        elif prod(widths) > 1 and not _is_direct(program, layer, node):
            problems.setdefault(layer, "its weight is rearranged, and takes granularity = 'tensor'")
        coefficients.append(Coefficients(layer, operand, node, name, parameter.shape, widths))
    if problems:
        named = "; ".join(f"{layer} ({reason})" for layer, reason in problems.items())
        raise SettingsError(f"layers of {program.network.name} whose widths cannot be learned: {named}")
    if not program.network.multiplying_layers:
        raise SettingsError(f"{program.network.name} has no layers whose widths could be learned")
    data = tuple(
        Data(layer, () if granularity == "tensor" else _data_widths(program.network, operators))
        for layer, operators in program.network.multiplying_layers.items()
    )
    coefficients = coefficients if "weight" in learned else []
    data = data if "data" in learned else ()
    rounded = {each.node for each in coefficients}
    others_names = {
        node: name
        for node, name in program.parameter_names.items()
        if node not in rounded
        and node in read
        and (held := program.network.parameter_by_name.get(name)) is not None
        and not held.is_buffer
        and program.tensors[node].is_floating_point()
    }
    return Operands(tuple(coefficients), data, others_names, kept)


def _recurrent(network: Network) -> dict[str, str]:
    return {
        layer: f"{operators[0].kind}: a recurrent layer"
        for layer, operators in network.recurrent_layers.items()
    }


def _computed(program: Program) -> dict[str, str]:
    weights = () if program.folding is None else program.folding.weights
    return {layer_of(weight.name): f"its {weight.operand} is computed from parameters" for weight in weights}


def _held(program: Program) -> dict[tuple[str, str], list[str]]:
    """The nodes of tensors that layers read as weight or bias, by layer and operand."""
    found: dict[tuple[str, str], list[str]] = {}
    for node, source in _edges(program):
        operand = _operand(program, node, source)
        behind = parameter_behind(source)
        if operand is not None and operand[1] != "data" and behind is not None:
            found.setdefault(operand, []).append(behind.name)
    return found


def _operand(program: Program, node: fx.Node, source: fx.Node) -> tuple[str, str] | None:
    """The layer and operand that a node reads; of tables, which multiply nothing, no widths are learned."""
    return None if base_name(node) in TABLE_KINDS else rounded_operand(node, source, program.tensors)


def _reading(program: Program) -> dict[str, set[tuple[str, str]]]:
    """Who reads each tensor that the program holds: layer and operand, or a node that rounds nothing."""
    found: dict[str, set[tuple[str, str]]] = {}
    for node, source in _edges(program):
        behind = parameter_behind(source)
        if behind is None or behind.name not in program.tensors or parameter_behind(node) is not None:
            continue
        operand = _operand(program, node, source)
        found.setdefault(behind.name, set()).add(operand or (node.name, ""))
    return found


def _shared(program: Program) -> dict[str, list[str]]:
    """For each tensor that the program holds, those that are the same parameter, itself among them.

    A network names a parameter by the first of its names alone.
    """
    known, names = program.network.parameter_by_name, program.parameter_names
    others = [node for node in program.tensors if node in names and names[node] not in known]
    found = {}
    for node, tensor in program.tensors.items():
        same = [other for other in others if _is_same(program.tensors[other], tensor)] if others else []
        found[node] = [node, *(other for other in same if other != node)]
        if node in others:
            found[node] += [
                first for first, held in program.tensors.items() if first != node and _is_same(held, tensor)
            ]
    return found


def _is_same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and one.dtype == other.dtype and torch.equal(one, other)


def _edges(program: Program) -> list[tuple[fx.Node, fx.Node]]:
    return [
        (node, source)
        for node in program.graph.nodes
        if node.op == "call_function"
        for source in node.all_input_nodes
    ]


def _is_direct(program: Program, layer: str, node: str) -> bool:
    """Whether a layer reads the tensor as the model holds it."""
    return all(
        source.name == node
        for user, source in _edges(program)
        if user.meta.get("layer") == layer
        and (behind := parameter_behind(source)) is not None
        and behind.name == node
    )


def _said(others: set[tuple[str, str]]) -> str:
    return ", ".join(sorted(f"{name} ({operand})" if operand else name for name, operand in others))


def _weight_widths(network: Network, layer: str, shape: Shape, granularity: WeightGranularity) -> Shape:
    if granularity == "weight":
        return shape
    kind = network.product_layers[layer][0].kind
    axis = OUTPUT_AXES.get(kind, 0) % len(shape)
    is_grouped = (
        kind.startswith("conv_transpose") and network.product_layers[layer][0].attribute("groups") != 1
    )
    if granularity == "tensor" or is_grouped:
        return (1,) * len(shape)
    return tuple(size if position == axis else 1 for position, size in enumerate(shape))


def _data_widths(network: Network, operators: Sequence[Operator]) -> Shape:
    """One for each input, where all calls of a layer have as many; else one."""
    found = {_inputs_of(network, operator) for operator in operators}
    return found.pop() if len(found) == 1 else ()


def _inputs_of(network: Network, operator: Operator) -> Shape:
    if network.weight_of(operator) is None:
        return ()
    shape = operator.input_shapes[0]
    if operator.kind == "linear":
        return () if isinstance(shape[-1], BatchSize) else (shape[-1],)
    if operator.kind.startswith("conv"):
        spatial = int(operator.kind[-2])
        channels = shape[-1 - spatial]
        return () if isinstance(channels, BatchSize) else (channels, *(1,) * spatial)
    return ()
