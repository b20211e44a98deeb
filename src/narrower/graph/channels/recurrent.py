"""What LSTM, GRU and plain recurrent layers do to channels: all their layers have one number of states."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import fx

from narrower.errors import ModelError
from narrower.graph.channels.dimensions import Dimension, Dimensions, Factor, flat, is_labelled
from narrower.graph.channels.labelling import Labelling, given, sizes_of, where
from narrower.graph.nodes import base_name


def layers(labelling: Labelling, node: fx.Node) -> tuple[Dimensions, ...]:
    """``lstm``, ``gru``, ``rnn_tanh``: all layers and directions have the same number of states."""
    named = given(node)
    if "params" not in named or "input" not in named:
        raise ModelError("a packed sequence")
    weights: list[fx.Node] = list(named["params"])
    each = 4 if named["has_biases"] else 2
    directions = 2 if named["bidirectional"] else 1
    count = int(named["num_layers"]) * directions
    if len(weights) != each * count:
        raise ModelError("a projection of its states")
    sequence = labelling.of(named["input"])
    states: Dimension | None = None
    inputs = sequence[-1]
    for number in range(0, count, directions):
        for direction in range(directions):
            own = weights[each * (number + direction) : each * (number + direction + 1)]
            states = _tied(labelling, node, own, inputs, states)
        assert states is not None
        inputs = _beside(states, directions)
    assert states is not None
    first = named["hx"]
    for start in first if isinstance(first, list | tuple) else [first]:
        _starting_with(labelling, node, start, states)
    results = node.meta["val"]
    last = tuple(
        (Factor(size),) for size in sizes_of(first[0] if isinstance(first, list | tuple) else first)[:-1]
    )
    return ((*sequence[:-1], inputs), *(((*last, states),) * (len(results) - 1)))


def _tied(
    labelling: Labelling,
    node: fx.Node,
    weights: Sequence[fx.Node],
    inputs: Dimension,
    states: Dimension | None,
) -> Dimension:
    """Bind the weights of one layer and direction; the rows of all gates are the same states."""
    from_inputs, from_states, *biases = weights
    gates = sizes_of(from_states)[0] // sizes_of(from_states)[1]
    for weight in (from_inputs, from_states):
        labelling.mark_multiplied(weight)
        labelling.repeat(weight, gates)
        labelling.produce(weight, 0)
    labelling.bind(from_inputs, 1, inputs)
    labelling.consume(from_inputs, 1)
    own = labelling.of(from_states)
    labelling.consume(from_states, 1)
    if not (is_labelled(own[0]) and is_labelled(own[1])):
        raise ModelError("weights that are computed")
    rows = labelling.merger.tied(own[0], gates)[0]
    labelling.merger.same(rows, flat(own[1]))
    labelling.merger.unite(labelling.of(from_inputs)[0], own[0], f"{base_name(node)}{where(node)} has gates")
    for bias in biases:
        labelling.bind(bias, 0, own[0])
    if states is not None:
        labelling.merger.same(flat(states), flat(own[1]))
    return own[1]


def _starting_with(labelling: Labelling, node: fx.Node, start: Any, states: Dimension) -> None:
    """What the states are at first: zeros that are made for them have any size, as the trial will show."""
    first = labelling.of(start)[-1]
    if is_labelled(first):
        labelling.merger.unite(states, first, f"{base_name(node)}{where(node)} starts with it")


def _beside(states: Dimension, directions: int) -> Dimension:
    labels = np.tile(flat(states), directions)
    return (Factor(len(labels), labels),)
