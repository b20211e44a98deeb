"""The same network with outputs that are never negative, so that a ReLU behind it changes nothing."""

from dataclasses import replace

import numpy as np

from narrower.preparation.learning.deployed import FLOAT32_BITS, LearnedChain, odd_part


def above_zero(chain: LearnedChain) -> LearnedChain:
    """A chain whose outputs are all larger by one power of two, and that no data can bring below zero.

    The shares that softmax makes of the outputs are the same, but where a bias had so many bits that float32
    would not hold it any more: then it loses the lowest.
    """
    last = chain.layers[-1]
    ends = [limit * np.ldexp(1.0, -last.data_fractions) for limit in last.data_limits]
    products = [end[:, None] * last.weight_values for end in ends]
    lowest = float((np.minimum(*products).sum(0) + last.bias_values).min())
    if lowest >= 0:
        return chain
    exponent = int(np.ceil(np.log2(-lowest)))
    raised = last.bias_values + 2.0**exponent
    integer_bits = int(np.floor(np.log2(raised.max()))) + 1
    fraction = min(max(int(last.bias_fractions.max()), -exponent), FLOAT32_BITS - integer_bits)
    steps = np.floor(np.ldexp(raised, fraction) + 0.5).astype(np.int64)
    biases, fractions = odd_part(steps, np.full(len(steps), fraction, np.int64))
    return LearnedChain((*chain.layers[:-1], replace(last, biases=biases, bias_fractions=fractions)))
