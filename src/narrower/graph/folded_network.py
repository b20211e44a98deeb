"""The picture of a network whose computed weights are constants."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, replace

from narrower.graph.network import Attribute, Network, Operator, Parameter, Shape


@dataclass(frozen=True, slots=True)
class ComputedWeight:
    """A weight or bias that is computed from what the model holds, and from nothing else.

    ``readers`` are the products that it belongs to, each with the operator that computes it there.
    """

    name: str
    operand: str  # "weight" or "bias"
    readers: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Folding:
    """What changes when computed weights become constants.

    ``operators`` compute nothing else, ``parameters`` are read by nothing else: both are gone.
    """

    weights: tuple[ComputedWeight, ...]
    operators: frozenset[str]
    parameters: frozenset[str]


def folded_network(network: Network, folding: Folding) -> Network:
    """The network with its computed weights among its parameters, also where it has other widths."""
    shapes = {operator.name: operator.output_shape for operator in network.operators}
    added = tuple(Parameter(weight.name, _whole(shapes[weight.readers[0][1]])) for weight in folding.weights)
    given: dict[str, dict[str, str]] = {}  # of a product: the names of its operands
    sources: dict[str, set[str]] = {}  # and what computed them
    for weight in folding.weights:
        for reader, source in weight.readers:
            given.setdefault(reader, {})[weight.operand] = weight.name
            sources.setdefault(reader, set()).add(source)
    return replace(
        network,
        parameters=(*(p for p in network.parameters if p.name not in folding.parameters), *added),
        operators=tuple(
            _with_weights(operator, given[operator.name], sources[operator.name])
            if operator.name in given
            else operator
            for operator in network.operators
            if operator.name not in folding.operators
        ),
    )


def layer_of(weight: str) -> str:
    """The name by which plans address the product of a weight."""
    return weight.removesuffix(".weight").removesuffix("_weight")


def _with_weights(operator: Operator, names: Mapping[str, str], sources: Set[str]) -> Operator:
    kept = [
        (name, shape)
        for name, shape in zip(operator.inputs, operator.input_shapes, strict=True)
        if name not in sources
    ]
    is_first = operator.kind == "matmul" and "weight" in names and operator.inputs[0] in sources
    added: dict[str, Attribute] = {**names, **({"weight_is_first": True} if is_first else {})}
    weight, bias = ([names[operand]] if operand in names else [] for operand in ("weight", "bias"))
    return replace(
        operator,
        layer=layer_of(names["weight"]) if "weight" in names else operator.layer,
        inputs=tuple(name for name, _ in kept),
        input_shapes=tuple(shape for _, shape in kept),
        parameters=(*weight, *operator.parameters, *bias),
        attributes=tuple({**dict(operator.attributes), **added}.items()),
    )


def _whole(shape: Shape) -> tuple[int, ...]:
    sizes = tuple(size for size in shape if isinstance(size, int))
    assert len(sizes) == len(shape)  # no input reaches a computed weight
    return sizes
