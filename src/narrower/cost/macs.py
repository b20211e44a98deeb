"""How many multiply-accumulates each kind of product does, from shapes alone."""

from collections.abc import Callable
from math import prod

from narrower.graph.network import RECURRENT_KINDS, Network, Operator, Shape, numel


def weight_shape(network: Network, operator: Operator) -> tuple[int, ...]:
    """The shape of what a product multiplies its data with, be it a parameter or computed from some."""
    weight = network.weight_of(operator)
    if weight is not None:
        return weight.shape
    return tuple(numel((size,)) for size in operator.input_shapes[:2][-1])  # data, weight, bias


def _linear(network: Network, operator: Operator) -> int:
    if operator.input_shapes:  # of a transposed weight, the shape of the parameter would mislead
        return numel(operator.output_shape) * numel(operator.input_shapes[0][-1:])
    return numel(operator.output_shape) * weight_shape(network, operator)[1]


def _convolution(network: Network, operator: Operator) -> int:
    # The weight is [outputs, inputs of one group, *kernel]: each output reads one group and one window.
    return numel(operator.output_shape) * prod(weight_shape(network, operator)[1:])


def _transposed_convolution(network: Network, operator: Operator) -> int:
    # The weight is [inputs, outputs of one group, *kernel]: each input reaches one group and one window.
    return numel(operator.input_shapes[0]) * prod(weight_shape(network, operator)[1:])


def _matmul(network: Network, operator: Operator) -> int:
    if not operator.input_shapes:  # two parameters
        return numel(operator.output_shape) * weight_shape(network, operator)[-1]
    shape: Shape = operator.input_shapes[0]
    is_second = dict(operator.attributes).get("weight_is_first", False)
    summed = shape[-2:-1] if is_second and len(shape) > 1 else shape[-1:]
    return numel(operator.output_shape) * numel(summed)


def _attention(network: Network, operator: Operator) -> int:
    """Scores ``q k'`` and their product with ``v``; a mask saves nothing."""
    operands = operator.attribute("operands")
    assert isinstance(operands, tuple)
    query, key, value = (
        network.parameter_by_name[str(operator.attribute(name))].shape
        if position < 0
        else operator.input_shapes[position]
        for name, position in zip(("query", "key", "value"), operands, strict=True)
    )
    pairs = numel(operator.output_shape[:-1]) * numel(key[-2:-1])
    return pairs * (numel(query[-1:]) + numel(value[-1:]))


def _recurrent(_network: Network, operator: Operator) -> int:
    """Every step of every sequence multiplies each of the layer's matrices with a vector."""
    matrices = operator.attribute("matrix_elements")
    assert isinstance(matrices, int)
    return steps(operator) * matrices


def steps(operator: Operator) -> int:
    """How many steps a recurrent layer takes for one sample."""
    return numel(operator.input_shapes[0][:-1])


MACS: dict[str, Callable[[Network, Operator], int]] = {
    "linear": _linear,
    "conv1d": _convolution,
    "conv2d": _convolution,
    "conv3d": _convolution,
    "conv_transpose1d": _transposed_convolution,
    "conv_transpose2d": _transposed_convolution,
    "conv_transpose3d": _transposed_convolution,
    "matmul": _matmul,
    "scaled_dot_product_attention": _attention,
    **dict.fromkeys(RECURRENT_KINDS, _recurrent),
}


def macs(network: Network, operator: Operator) -> int:
    """Multiply-accumulates of one operator for one sample; 0 for what is no product."""
    rule = MACS.get(operator.kind)
    return rule(network, operator) if rule else 0
