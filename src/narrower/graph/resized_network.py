"""The picture of a network with other numbers of channels, from the picture that it has."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from narrower.graph.folded_network import folded_network
from narrower.graph.groups import Channels
from narrower.graph.network import RECURRENT_KINDS, Network, Operator, Shape
from narrower.graph.recurrent_sizes import sizes_inside


def resized_network(channels: Channels, counts: Mapping[int, int]) -> Network:
    """The network with other numbers of units; ``counts`` are those of families."""
    network = channels.network
    copies = {family: tuple(0 for _ in range(count)) for family, count in counts.items()}
    parameters = tuple(
        replace(
            parameter,
            shape=tuple(
                size if (found := channels.indices(parameter.name, position, copies)) is None else len(found)
                for position, size in enumerate(parameter.shape)
            ),
        )
        if channels.holds(parameter.name)
        else parameter
        for parameter in network.parameters
    )
    shapes = {name: channels.new_shape(name, shape, copies) for name, shape in network.inputs}
    held = {parameter.name: parameter.shape for parameter in parameters}
    operators = []
    for operator in network.operators:
        own = channels.new_shape(operator.name, operator.output_shape, copies)
        shapes[operator.name] = own
        inputs = tuple(
            shapes.get(name, shape)
            for name, shape in zip(operator.inputs, operator.input_shapes, strict=True)
        )
        if operator.kind in RECURRENT_KINDS:
            operator = _recurrent(operator, [held[name] for name in operator.parameters])  # noqa: PLW2901
        operators.append(_with_shapes(operator, inputs, own))
    return replace(network, parameters=parameters, operators=tuple(operators))


def deployed_network(channels: Channels, counts: Mapping[int, int]) -> Network:
    """As ``resized_network``, with computed weights as the parameters that they become."""
    network = resized_network(channels, counts)
    return network if channels.folding is None else folded_network(network, channels.folding)


def _recurrent(operator: Operator, shapes: Sequence[tuple[int, ...]]) -> Operator:
    """A recurrent layer with what it says of its matrices, biases and gates as its parameters now are."""
    new = sizes_inside(shapes, operator.attribute("num_layers"), operator.attribute("bidirectional"))
    return replace(operator, attributes=tuple((dict(operator.attributes) | new).items()))


def _with_shapes(operator: Operator, inputs: tuple[Shape, ...], output: Shape) -> Operator:
    attributes = dict(operator.attributes)
    groups = attributes.get("groups")
    old, new = operator.input_shapes, inputs
    if isinstance(groups, int) and groups > 1 and old and old[0][1] == groups:  # depthwise
        width = new[0][1]
        attributes["groups"] = width if isinstance(width, int) else groups
    return replace(operator, input_shapes=inputs, output_shape=output, attributes=tuple(attributes.items()))
