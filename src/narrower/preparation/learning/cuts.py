"""Which bits of a deployed network can be taken away one at a time, and what the network is without them."""

from dataclasses import dataclass, replace

import numpy as np

from narrower.preparation.learning.deployed import LearnedChain, LearnedLayer, bit_lengths, odd_part


@dataclass(frozen=True, slots=True)
class Cut:
    """One weight with another value, or one datum with a step twice as large (``output`` None)."""

    layer: int
    position: int
    output: int | None = None
    steps: int = 0  # what the weight becomes, in its steps

    def of(self, chain: LearnedChain) -> LearnedChain:
        """The chain after the cut."""
        layers = list(chain.layers)
        layers[self.layer] = self._layer(layers[self.layer])
        return LearnedChain(tuple(layers))

    def _layer(self, layer: LearnedLayer) -> LearnedLayer:
        if self.output is None:
            fractions, widths = layer.data_fractions.copy(), layer.data_widths.copy()
            fractions[self.position] -= 1
            widths[self.position] -= 1
            return replace(layer, data_fractions=fractions, data_widths=widths)
        at = (self.position, self.output)
        weights, weight_fractions = layer.weights.copy(), layer.weight_fractions.copy()
        steps, fraction = odd_part(np.array([self.steps]), weight_fractions[at].reshape(1))
        weights[at], weight_fractions[at] = steps[0], fraction[0]
        return replace(layer, weights=weights, weight_fractions=weight_fractions)

    def saved(self, chain: LearnedChain) -> int:
        """Effective bit operations that it takes away."""
        layer = chain.layers[self.layer]
        if self.output is None:
            return int(layer.weight_widths[self.position].sum())
        before = int(layer.weights[self.position, self.output])
        return int(layer.data_widths[self.position]) * (_needed_bits(before) - _needed_bits(self.steps))

    def is_possible(self, chain: LearnedChain) -> bool:
        """Whether the cut, which was found in an earlier chain, still takes away bits."""
        layer = chain.layers[self.layer]
        if self.output is None:
            return bool(layer.data_widths[self.position] > 1) and self.saved(chain) > 0
        held = int(layer.weights[self.position, self.output])
        return abs(held - self.steps) == 1 and self.saved(chain) > 0

    def following(self, chain: LearnedChain) -> list["Cut"]:
        """The cuts of the number that was just cut."""
        if self.output is None:
            cuts = [Cut(self.layer, self.position)]
        else:
            held = int(chain.layers[self.layer].weights[self.position, self.output])
            cuts = [Cut(self.layer, self.position, self.output, held + way) for way in _ways(held)]
        return [cut for cut in cuts if cut.is_possible(chain)]


def cuts_of(chain: LearnedChain, *, of_data: bool = True) -> list[Cut]:
    """Every cut that takes away bits: weights rounded to one bit less on either side, and data."""
    found = []
    for number, layer in enumerate(chain.layers):
        bits_less = [layer.weight_widths - _needed(layer, way) for way in (-1, 1)]
        saves = [(layer.data_widths[:, None] * fewer > 0) & (layer.weights != 0) for fewer in bits_less]
        for position, output in np.argwhere(saves[0] | saves[1]).tolist():
            held = int(layer.weights[position, output])
            found += [
                Cut(number, position, output, held + way)
                for way, saving in zip(_ways(held), saves, strict=True)
                if saving[position, output]
            ]
        if of_data:
            is_cut = (layer.data_widths > 1) & (layer.weight_widths.sum(1) > 0)
            found += [Cut(number, position) for position in np.flatnonzero(is_cut).tolist()]
    return found


def _ways(held: int) -> tuple[int, int]:
    """Towards zero, and away from it."""
    return (-1, 1) if held > 0 else (1, -1)


def _needed(layer: LearnedLayer, way: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.int64]]":
    """Bits of each weight a step towards zero (-1) or away from it (1)."""
    steps = np.abs(layer.weights) + way
    return bit_lengths(odd_part(steps, steps)[0])


def _needed_bits(steps: int) -> int:
    """Bits of a number without its trailing zeros."""
    return (abs(steps) // (steps & -steps)).bit_length() if steps else 0
