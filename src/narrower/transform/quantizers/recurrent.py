"""What recurrent layers compute where inputs and states are rounded, step by step.

Each of a layer's matrices reads rounded data: the input of a step, and the state that the step before left.
States are rounded where a matrix reads them, as all data are; what leaves the layer is not rounded, and what
gates multiply are the states themselves.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from narrower.errors import ModelError

Rounding = Callable[[Tensor], Tensor]
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"rnn_tanh": torch.tanh, "rnn_relu": torch.relu}


def stepwise(kind: str, arguments: Sequence[Any], rounded: Rounding) -> tuple[Tensor, ...]:
    """The outputs of all steps [B, T, H] or [T, B, H], and the last states [L, B, H].

    ``arguments`` are those of PyTorch's operator of this ``kind``.

    Raises:
        ModelError: the layer is one of packed sequences.
    """
    x, states, parameters, has_biases, layers, dropout, is_training, bidirectional, batch_first = arguments
    if isinstance(states, Tensor) and not states.is_floating_point():  # the lengths of packed sequences
        raise ModelError(f"{kind}: a recurrent layer of packed sequences cannot be rounded")
    given = list(states) if isinstance(states, list | tuple) else [states]
    directions = 2 if bidirectional else 1
    each = len(parameters) // (layers * directions)
    x = x.transpose(0, 1) if batch_first else x
    last: list[list[Tensor]] = [[] for _ in given]
    for layer in range(layers):
        if layer:
            x = rounded(F.dropout(x, dropout, is_training) if dropout else x)
        sides = []
        for direction in range(directions):
            cell = layer * directions + direction
            own = parameters[cell * each : (cell + 1) * each]
            start = [state[cell] for state in given]
            outputs, ends = _direction(kind, x, own, start, rounded, has_biases, backwards=direction == 1)
            sides.append(outputs)
            for kept, end in zip(last, ends, strict=True):
                kept.append(end)
        x = torch.cat(sides, -1) if directions > 1 else sides[0]
    outputs = x.transpose(0, 1) if batch_first else x
    return (outputs, *(torch.stack(kept) for kept in last))


def _direction(
    kind: str,
    x: Tensor,
    parameters: Sequence[Tensor],
    start: Sequence[Tensor],
    rounded: Rounding,
    has_biases: bool,
    *,
    backwards: bool,
) -> tuple[Tensor, list[Tensor]]:
    """One direction of one layer on rounded data [T, B, I]: its outputs [T, B, H] and last states [B, H]."""
    inputs, recurrent = parameters[:2]
    biases = parameters[2:4] if has_biases else (None, None)
    projection = parameters[-1] if len(parameters) in (3, 5) else None
    entering = _product(x, inputs, biases[0])
    states = list(start)
    found: list[Tensor] = []
    for place in range(len(x)):
        step = len(x) - 1 - place if backwards else place
        hidden = _product(rounded(states[0]), recurrent, biases[1])
        states = next_states(kind, entering[step], hidden, states)
        if projection is not None:
            states[0] = F.linear(rounded(states[0]), projection)
        found.append(states[0])
    return torch.stack(found[::-1] if backwards else found), states


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    product = F.linear(x, weight)
    return product if bias is None else product + bias


def next_states(kind: str, entering: Tensor, hidden: Tensor, states: Sequence[Tensor]) -> list[Tensor]:
    """The states after a step, from the products with its input and with the state before it."""
    if kind == "lstm":
        keep, forget, cell, output = (entering + hidden).chunk(4, -1)
        memory = torch.sigmoid(forget) * states[1] + torch.sigmoid(keep) * torch.tanh(cell)
        return [torch.sigmoid(output) * torch.tanh(memory), memory]
    if kind == "gru":
        (r, z, n), (from_r, from_z, from_n) = entering.chunk(3, -1), hidden.chunk(3, -1)
        update = torch.sigmoid(z + from_z)
        new = torch.tanh(n + torch.sigmoid(r + from_r) * from_n)
        return [new + update * (states[0] - new)]
    return [ACTIVATIONS[kind](entering + hidden)]
