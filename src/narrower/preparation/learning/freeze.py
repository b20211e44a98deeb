"""Turn a candidate of a training into whole numbers with the widths that they need, as it is deployed."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from narrower.data.sizes import SAMPLES_AT_ONCE
from narrower.preparation.learning.deployed import (
    FLOAT32_BITS,
    Integers,
    LearnedChain,
    LearnedLayer,
    bit_lengths,
    half_step_fraction,
    odd_part,
    unbounded_steps,
)
from narrower.preparation.learning.network import LearnedNetwork

UNBOUNDED = 24  # width of data that nothing has been seen of


def freeze(
    network: LearnedNetwork,
    candidate: int,
    sizes: Sequence[int],
    ends_2i: NDArray[np.float32],
    largest: Sequence[Tensor],
    *,
    wrap: bool = False,
) -> LearnedChain:
    """The numbers that ``network`` rounded last, with the widths that data take.

    ``ends_2i`` are the smallest and largest inputs, ``largest`` the largest data [C, I] of each layer in
    steps (``scoring.largest_data``).

    With ``wrap``, data above those widths lose their highest bits, but for the network's inputs, which
    saturate.

    What cannot change an output is taken away: weights of data that are always zero, whatever only such
    weights read, and outputs that are constant, which become biases.
    """
    layout = network.layout
    integers = layout.coefficients(network.rounded.integers)
    fractions = layout.coefficients(network.rounded.fractions)
    layers = []
    for layer, data_fractions in enumerate(layout.data(network.data_fractions)):
        inputs, outputs = sizes[layer], sizes[layer + 1]
        rows = [*range(inputs), -1]  # the last holds the biases
        held, fraction = (
            part[layer][candidate].numpy().astype(np.int64)[rows, :outputs] for part in (integers, fractions)
        )
        steps, fraction = odd_part(held, fraction)
        layers.append(
            LearnedLayer(
                weights=steps[:-1],
                weight_fractions=fraction[:-1],
                biases=steps[-1],
                bias_fractions=fraction[-1],
                data_widths=np.full(inputs, UNBOUNDED, np.int64),
                data_fractions=data_fractions[candidate, :inputs].numpy().astype(np.int64),
                data_signed=np.full(inputs, layer == 0),
                data_wrap=wrap and layer > 0,
            )
        )
    low, high = (unbounded_steps(end.astype(np.float64), layers[0].data_fractions) for end in ends_2i)
    lows = [np.minimum(low, 0), *(np.zeros(size) for size in sizes[1:-1])]
    highs = [
        np.maximum(high, 0),
        *(most[candidate, :size].numpy() for most, size in zip(largest[1:], sizes[1:-1], strict=True)),
    ]
    chain = without_idle(LearnedChain(tuple(layers)))
    return _with_ranges(chain, *([end.astype(np.int64) for end in ends] for ends in (lows, highs)))


def fit_widths(chain: LearnedChain, inputs_ni: NDArray[np.float32]) -> LearnedChain:
    """The same chain with the widths that its data take on these samples, without what is idle then."""
    lows = [np.zeros(len(layer.weights), np.int64) for layer in chain.layers]
    highs = [low.copy() for low in lows]
    for start in range(0, len(inputs_ni), SAMPLES_AT_ONCE):
        values = inputs_ni[start : start + SAMPLES_AT_ONCE].astype(np.float64)
        for number, layer in enumerate(chain.layers):
            steps = unbounded_steps(values, layer.data_fractions)
            if number == 0:  # what follows a ReLU is never negative
                np.minimum(lows[number], steps.min(0).astype(np.int64), out=lows[number])
            np.maximum(highs[number], steps.max(0).astype(np.int64), out=highs[number])
            if number + 1 == len(chain.layers):
                break
            reach = np.maximum(-lows[number], highs[number])
            following = half_step_fraction(chain.layers[number + 1].data_fractions)
            values = np.maximum(_bounded(layer, reach).sums(steps, following), 0)
    return _with_ranges(chain, lows, highs)


def _with_ranges(chain: LearnedChain, lows: Sequence[Integers], highs: Sequence[Integers]) -> LearnedChain:
    """The same chain with the widths that data between these steps take, without what is idle then."""
    fitted = []
    for layer, low, high in zip(chain.layers, lows, highs, strict=True):
        signed = low < 0
        widths = np.maximum(bit_lengths(high), np.where(signed, bit_lengths(-low - 1), 0)) + signed
        fitted.append(replace(layer, data_widths=widths, data_signed=signed))
    return without_idle(LearnedChain(tuple(fitted)))


def _bounded(layer: LearnedLayer, reach: Integers) -> LearnedLayer:
    """The layer with data of these magnitudes, so that its sums are bounded."""
    widths = bit_lengths(reach) + 1
    return replace(layer, data_widths=widths, data_signed=np.ones(len(widths), bool))


def without_idle(chain: LearnedChain) -> LearnedChain:
    """An equal chain without weights that cannot change its outputs.

    Weights of data without bits go; an output that no weight leads to is a constant, added to the biases of
    the next layer; an output that no weight reads is not computed.
    """
    layers = [_without_zeros(layer) for layer in chain.layers]
    for number in range(len(layers) - 1):
        layers[number + 1] = _constants_added(layers[number], layers[number + 1])
    for number in range(len(layers) - 2, -1, -1):
        is_read = (layers[number + 1].weights != 0).any(1)
        layers[number] = replace(
            layers[number],
            weights=layers[number].weights * is_read,
            weight_fractions=layers[number].weight_fractions * is_read,
            biases=layers[number].biases * is_read,
            bias_fractions=layers[number].bias_fractions * is_read,
        )
    layers = [replace(layer, data_widths=layer.data_widths * (layer.weights != 0).any(1)) for layer in layers]
    return LearnedChain(tuple(layers))


def _without_zeros(layer: LearnedLayer) -> LearnedLayer:
    has_bits = (layer.data_widths > 0)[:, None]
    return replace(
        layer, weights=layer.weights * has_bits, weight_fractions=layer.weight_fractions * has_bits
    )


def _constants_added(layer: LearnedLayer, following: LearnedLayer) -> LearnedLayer:
    is_constant = ~(layer.weights != 0).any(0)
    read = is_constant & (following.weights != 0).any(1)
    if not read.any():
        return following
    values = np.where(read, np.maximum(layer.bias_values, 0), 0)
    constants = following.rounded(values[None])[0] * np.ldexp(1.0, -following.data_fractions)
    sums = following.bias_values + constants @ following.weight_values
    fraction = max(following.sum_fraction, 0)
    biases, bias_fractions = odd_part(
        np.ldexp(sums, fraction).astype(np.int64), np.full(len(sums), fraction, np.int64)
    )
    if bit_lengths(biases).max() > FLOAT32_BITS:  # artefacts hold biases as float32
        return following
    kept = ~is_constant[:, None]
    return replace(
        following,
        weights=following.weights * kept,
        weight_fractions=following.weight_fractions * kept,
        biases=biases,
        bias_fractions=bias_fractions,
    )
