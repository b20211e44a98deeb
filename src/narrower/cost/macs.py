"""How many multiply-accumulates each kind of product does, from shapes alone."""

from collections.abc import Callable
from math import prod

from narrower.graph.network import Network, Operator, Shape, numel


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
    if operator.input_shapes:
        shape: Shape = operator.input_shapes[0]
        # matmul(weight, x) contracts the last dimension but one of x (the last where x is a vector)
        is_weight_first = network.weight_of(operator) is not None and _weight_is_first(network, operator)
        if not is_weight_first:
            return numel(operator.output_shape) * numel(shape[-1:])
    return numel(operator.output_shape) * weight_shape(network, operator)[-1]


def _weight_is_first(network: Network, operator: Operator) -> bool:
    # The result of (weight @ x) has the weight's rows as its last dimension but one.
    rows = weight_shape(network, operator)[0]
    shape = operator.input_shapes[0]
    output = operator.output_shape
    return len(output) > 1 and output[-2] == rows and output[-1:] == shape[-1:] and len(shape) > 1


def _attention(_network: Network, operator: Operator) -> int:
    """Scores ``q k'`` and their product with ``v``; a mask saves nothing."""
    query, key, value = operator.input_shapes[:3]
    pairs = numel(query[:-1]) * numel(key[-2:-1])
    return pairs * (numel(query[-1:]) + numel(value[-1:]))


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
}


def macs(network: Network, operator: Operator) -> int:
    """Multiply-accumulates of one operator for one sample; 0 for what is no product."""
    rule = MACS.get(operator.kind)
    return rule(network, operator) if rule else 0
