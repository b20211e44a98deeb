"""How many floating-point operations each kind of operator does, from shapes alone."""

from math import prod

from narrower.cost.elementwise import FREE, PER_INPUT, PER_OUTPUT, POOLING, SCATTERED
from narrower.cost.macs import MACS, macs, steps
from narrower.graph.network import Network, Operator, numel

# Operations for each unit and step of a recurrent layer, beside its matrices and biases, and its gates.
# LSTM: 4 sums of products, 3 sigmoids, 2 tanh, 4 for the new state and the output. GRU: 3 sums, 2 sigmoids,
# tanh, 1 product for the reset, 3 for the mean of old and new state.
PER_HIDDEN = {"lstm": (19, 4), "gru": (14, 3), "rnn_tanh": (2, 1), "rnn_relu": (2, 1)}


def flops(network: Network, operator: Operator) -> int | None:
    """Floating-point operations of one operator for one sample; None where no rule covers it.

    A multiply-accumulate counts 2, a bias 1 for each element it is added to.
    """
    kind = operator.kind
    if kind in PER_HIDDEN:
        return _recurrent(network, operator)
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
    if kind in SCATTERED:
        return numel(operator.input_shapes[-1]) if operator.input_shapes else 0
    return None


def _recurrent(network: Network, operator: Operator) -> int:
    biases, gates = operator.attribute("bias_elements"), operator.attribute("gate_elements")
    assert isinstance(biases, int)
    assert isinstance(gates, int)
    operations, gates_of_a_unit = PER_HIDDEN[operator.kind]
    return 2 * macs(network, operator) + steps(operator) * (biases + gates // gates_of_a_unit * operations)


def window(operator: Operator) -> int:
    """Elements in one pooling window."""
    kernel = operator.attribute("kernel_size")
    if isinstance(kernel, int):
        kernel = (kernel,)
    assert isinstance(kernel, tuple)
    dimensions = len(operator.output_shape) - 2
    return prod(kernel) if len(kernel) == dimensions else int(kernel[0] ** dimensions)
