"""How many floating-point operations each kind of operator does, from shapes alone."""

from math import prod

from narrower.cost.macs import MACS, macs
from narrower.graph.network import Network, Operator, numel

# Operations for each element of the result.
PER_OUTPUT: dict[str, int] = {
    "relu": 1,
    "relu6": 2,
    "hardtanh": 2,
    "clamp": 2,
    "leaky_relu": 2,
    "add": 1,
    "sub": 1,
    "rsub": 1,
    "mul": 1,
    "div": 1,
    "neg": 1,
    "abs": 1,
    "exp": 1,
    "log": 1,
    "sqrt": 1,
    "rsqrt": 1,
    "pow": 1,
    "maximum": 1,
    "minimum": 1,
    "where": 1,
    "masked_fill": 1,
    "tanh": 1,
    "sigmoid": 3,
    "hardsigmoid": 4,
    "hardswish": 5,
    "silu": 4,
    "elu": 3,
    "gelu": 5,
    "batch_norm": 2,  # one multiplication and one addition: mean and variance are constants
    "softmax": 5,  # maximum, difference, exponential, sum, quotient
    "_softmax": 5,
    "log_softmax": 5,
    "_log_softmax": 5,
    "layer_norm": 8,  # mean 1, variance 3, difference 1, scaling 1, weight and bias 2
    "native_layer_norm": 8,
    "group_norm": 8,
    "upsample_bilinear2d": 7,
}
# Operations for each element that is read.
PER_INPUT: dict[str, int] = {
    "mean": 1,
    "sum": 1,
    "amax": 1,
    "amin": 1,
    "max": 1,
    "min": 1,
    "adaptive_avg_pool1d": 1,
    "adaptive_avg_pool2d": 1,
    "adaptive_max_pool2d": 1,
}
POOLING = frozenset({"max_pool1d", "max_pool2d", "avg_pool1d", "avg_pool2d", "max_pool2d_with_indices"})
# Moves, copies and look-ups.
FREE = frozenset(
    {
        "dropout",
        "view",
        "reshape",
        "flatten",
        "permute",
        "transpose",
        "t",
        "squeeze",
        "unsqueeze",
        "expand",
        "select",
        "slice",
        "cat",
        "stack",
        "split",
        "split_with_sizes",
        "chunk",
        "getitem",
        "clone",
        "alias",
        "detach",
        "contiguous",
        "pad",
        "constant_pad_nd",
        "embedding",
        "index",
        "pixel_shuffle",
        "pixel_unshuffle",
        "unbind",
        "unflatten",
        "_to_copy",
        "to",
        "lift_fresh_copy",
        "arange",
        "full",
        "zeros",
        "ones",
        "full_like",
        "zeros_like",
        "ones_like",
        "upsample_nearest2d",
        "movedim",
        "repeat",
        "roll",
        "flip",
        "index_select",
        "zero",
        "_unsafe_view",
        "tril",
        "triu",
        "eq",
        "ne",
        "gt",
        "lt",
        "ge",
        "le",
        "logical_not",
        "argmax",
        "channel_shuffle",
    }
)


def flops(network: Network, operator: Operator) -> int | None:
    """Floating-point operations of one operator for one sample; None where no rule covers it.

    A multiply-accumulate counts 2, a bias 1 for each element it is added to.
    """
    kind = operator.kind
    if kind in MACS:
        has_bias = network.bias_of(operator) is not None
        return 2 * macs(network, operator) + (numel(operator.output_shape) if has_bias else 0)
    if kind in FREE:
        return 0
    if kind in PER_OUTPUT:
        return PER_OUTPUT[kind] * numel(operator.output_shape)
    if kind in PER_INPUT:
        return PER_INPUT[kind] * numel(operator.input_shapes[0]) if operator.input_shapes else 0
    if kind in POOLING:
        return numel(operator.output_shape) * window(operator)
    return None


def window(operator: Operator) -> int:
    """Elements in one pooling window."""
    kernel = operator.attribute("kernel_size")
    if isinstance(kernel, int):
        kernel = (kernel,)
    assert isinstance(kernel, tuple)
    dimensions = len(operator.output_shape) - 2
    return prod(kernel) if len(kernel) == dimensions else int(kernel[0] ** dimensions)
