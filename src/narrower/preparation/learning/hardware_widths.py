"""Widths of data as hardware has them: at most so wide, of a list, equal where a tensor shares one."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from narrower.preparation.learning.deployed import Integers, LearnedChain, LearnedLayer
from narrower.preparation.learning.freeze import fit_widths
from narrower.preparation.learning.settings import LearnSettings


def with_hardware_widths(
    chain: LearnedChain, inputs_ni: NDArray[np.float32], settings: LearnSettings
) -> LearnedChain:
    """A chain with fitted widths as hardware of these settings takes it; data too wide lose low bits."""
    most = max(settings.allowed, default=settings.max_width)
    while (chain.widest_data > most).any():
        chain = fit_widths(LearnedChain(tuple(_narrowed(layer, most) for layer in chain.layers)), inputs_ni)
    if settings.data_granularity == "tensor":
        chain = LearnedChain(tuple(_shared(layer) for layer in chain.layers))
    if not settings.allowed:
        return chain
    return LearnedChain(
        tuple(
            replace(layer, data_widths=rounded_up(layer.data_widths, settings.allowed))
            for layer in chain.layers
        )
    )


def rounded_up(widths: Integers, allowed: Sequence[int]) -> Integers:
    """The smallest width of a list that holds each; 0 stays 0."""
    choices = np.array(sorted({0, *allowed}))
    return np.asarray(choices[np.searchsorted(choices, widths)])


def _narrowed(layer: LearnedLayer, most: int) -> LearnedLayer:
    excess = np.maximum(layer.data_widths - most, 0)
    return replace(layer, data_fractions=layer.data_fractions - excess)


def _shared(layer: LearnedLayer) -> LearnedLayer:
    """One width and sign for all data of a layer, which have one fraction already."""
    used = layer.data_widths > 0
    if not used.any():
        return layer
    is_signed = bool((layer.data_signed & used).any())
    magnitude = int((layer.data_widths - layer.data_signed)[used].max())
    count = len(layer.data_widths)
    return replace(
        layer,
        data_widths=np.full(count, magnitude + is_signed, np.int64),
        data_signed=np.full(count, is_signed),
    )
