"""Recurrent layers as ONNX's own, one for each layer, or step by step where their states are rounded."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx

from narrower.export.operators.recurrent_steps import WITH_PROJECTION, unrolled
from narrower.export.operators.translation import Rule, Translation, Value, whole_size
from narrower.graph.arguments import argument
from narrower.graph.network import MATRIX
from narrower.graph.nodes import base_name
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.plan import LayerPlan
from narrower.transform.quantizers.quantize import quantize

# Of each kind: ONNX's operator, and the order in which it wants PyTorch's gates.
KINDS: dict[str, tuple[str, tuple[int, ...]]] = {
    "lstm": ("LSTM", (0, 3, 1, 2)),  # input, output, forget, cell
    "gru": ("GRU", (1, 0, 2)),  # update, reset, hidden
    "rnn_tanh": ("RNN", (0,)),
    "rnn_relu": ("RNN", (0,)),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "gru": {"linear_before_reset": 1},
    "rnn_relu": {"activations": ["Relu"]},
}


def _recurrent(t: Translation, node: fx.Node) -> Value:
    """The sequence of outputs, and the last states."""
    kind = base_name(node)
    plan = t.layer(node.meta.get("layer", ""))
    if plan.data != FLOAT32 or _is_projected(node):
        return unrolled(t, node, plan)
    states: Any = argument(node, "hx")
    states = list(states) if isinstance(states, list | tuple) else [states]
    parameters = [_rounded(t.tensor(given), plan) for given in argument(node, "params")]
    directions = 2 if argument(node, "bidirectional") else 1
    cells = int(argument(node, "num_layers")) * directions
    each = len(parameters) // cells
    x = t.name(node.args[0])
    if argument(node, "batch_first"):
        x = t.emit("Transpose", x, perm=[1, 0, 2])
    last: list[list[str]] = [[] for _ in states]
    for layer in range(cells // directions):
        first = layer * directions
        held = [parameters[(first + d) * each : (first + d + 1) * each] for d in range(directions)]
        given = [_initial(t, state, first, directions) for state in states]
        x, *ends = _layer(t, kind, x, held, given)
        for position, end in enumerate(ends):
            last[position].append(end)
    if argument(node, "batch_first"):
        x = t.emit("Transpose", x, perm=[1, 0, 2])
    return (x, *(t.emit("Concat", *ends, axis=0) if len(ends) > 1 else ends[0] for ends in last))


def _is_projected(node: fx.Node) -> bool:
    """Whether the state is made smaller, which ONNX Runtime's own layer does not do."""
    cells = int(argument(node, "num_layers")) * (2 if argument(node, "bidirectional") else 1)
    return len(argument(node, "params")) // cells in WITH_PROJECTION


def _rounded(parameter: Tensor, plan: LayerPlan) -> Tensor:
    """A matrix or a bias as the layer reads it."""
    return quantize(parameter.detach(), plan.weight if parameter.dim() == MATRIX else plan.bias)


def _initial(t: Translation, state: fx.Node, first: int, count: int) -> str:
    """The states of one layer; zeros need not be given."""
    if base_name(state) == "zeros":
        return ""
    if whole_size(state, 0) == count:
        return t.name(state)
    return t.emit("Slice", t.name(state), t.integers(first), t.integers(first + count), t.integers(0))


def _layer(
    t: Translation, kind: str, x: str, held: Sequence[Sequence[Tensor]], states: Sequence[str]
) -> tuple[str, ...]:
    """One layer of [steps, samples, inputs], in one direction or both."""
    operator, order = KINDS[kind]

    def stacked(position: int) -> Tensor:
        return torch.stack([_in_order(cell[position], order) for cell in held])

    size = held[0][1].shape[1]
    weights = [t.builder.constant(stacked(position).numpy(), "weight") for position in (0, 1)]
    biases = torch.cat([stacked(2), stacked(3)], dim=1).numpy() if len(held[0]) > 2 else None  # noqa: PLR2004
    bias = "" if biases is None else t.builder.constant(np.ascontiguousarray(biases), "bias")
    options = {
        name: value * len(held) if name == "activations" else value
        for name, value in OPTIONS.get(kind, {}).items()
    }
    outputs, *ends = t.emit_several(
        1 + len(states),
        operator,
        x,
        *weights,
        bias,
        "",  # every sample is as long as the others
        *states,
        hidden_size=size,
        direction="bidirectional" if len(held) > 1 else "forward",
        **options,
    )
    flat = t.emit("Transpose", outputs, perm=[0, 2, 1, 3])
    return (t.emit("Reshape", flat, t.integers(0, 0, len(held) * size)), *ends)


def _in_order(parameter: Tensor, order: Sequence[int]) -> Tensor:
    gates = parameter.chunk(len(order))
    return torch.cat([gates[gate] for gate in order])


RECURRENT: dict[str, Rule] = dict.fromkeys(KINDS, _recurrent)
