"""Which bits of a deployed network can go at the least loss on samples that taught it, one after the other.

Shapes in names: n samples, i what a layer reads, o its outputs.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count

import numpy as np
from numpy.typing import NDArray

from narrower.preparation.learning.deployed import LearnedChain, LearnedLayer, bit_lengths, odd_part

Floats = NDArray[np.floating]
RANKED_ON = 1024  # samples that put the cuts in order; all of them decide


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
        weights, weight_fractions = layer.weights.copy(), layer.weight_fractions.copy()
        weights[self.position, self.output] = self.steps
        weights, weight_fractions = odd_part(weights, weight_fractions)
        return replace(layer, weights=weights, weight_fractions=weight_fractions)

    def saved(self, chain: LearnedChain) -> int:
        """Effective bit operations that it takes away."""
        layer = chain.layers[self.layer]
        if self.output is None:
            return int(layer.weight_widths[self.position].sum())
        before = int(layer.weight_widths[self.position, self.output])
        steps = np.array([self.steps])
        after = int(bit_lengths(odd_part(steps, steps)[0])[0])
        return int(layer.data_widths[self.position]) * (before - after)


def cuts_of(chain: LearnedChain, *, of_data: bool = True) -> list[Cut]:
    """Every cut that takes away bits: weights rounded to one bit less on either side, and data."""
    found = []
    for number, layer in enumerate(chain.layers):
        for position, output in np.argwhere(layer.weights != 0).tolist():
            held = int(layer.weights[position, output])
            sign = 1 if held > 0 else -1
            found += [Cut(number, position, output, held - sign), Cut(number, position, output, held + sign)]
        if of_data:
            found += [Cut(number, position) for position in np.flatnonzero(layer.data_widths > 1).tolist()]
    return [cut for cut in found if cut.saved(chain) > 0]


def shortened(
    chain: LearnedChain,
    inputs_ni: NDArray[np.float32],
    targets_no: NDArray[np.float32],
    *,
    of_data: bool = True,
) -> Iterator[tuple[LearnedChain, float]]:
    """Chains with fewer and fewer bits, each with its mean cross entropy with shares [N, O].

    Each is the one before after the cut that costs the least loss for each effective bit operation that it
    saves. What other cuts cost is looked at again when their turn comes, not after each cut.
    """
    few = Passed(chain, inputs_ni[:RANKED_ON], targets_no[:RANKED_ON])
    turn = count()  # cuts of equal price in the order in which they were found
    queue = [(few.price(cut), next(turn), cut) for cut in cuts_of(chain, of_data=of_data)]
    heapq.heapify(queue)
    every = Passed(chain, inputs_ni, targets_no)
    while queue:
        _, _, cut = heapq.heappop(queue)
        if not _is_possible(cut, chain):
            continue
        price = every.price(cut)
        if queue and price > queue[0][0]:
            heapq.heappush(queue, (price, next(turn), cut))
            continue
        chain = cut.of(chain)
        every = Passed(chain, inputs_ni, targets_no)
        yield chain, every.loss
        for following in _cuts_beside(chain, cut, of_data=of_data):
            heapq.heappush(queue, (every.price(following), next(turn), following))


def _is_possible(cut: Cut, chain: LearnedChain) -> bool:
    """Whether a cut that was found earlier still takes away bits."""
    layer = chain.layers[cut.layer]
    if cut.output is None:
        return bool(layer.data_widths[cut.position] > 1) and cut.saved(chain) > 0
    held = int(layer.weights[cut.position, cut.output])
    return abs(held - cut.steps) == 1 and cut.saved(chain) > 0


def _cuts_beside(chain: LearnedChain, done: Cut, *, of_data: bool) -> list[Cut]:
    """The cuts of the number that was just cut."""
    return [
        cut
        for cut in cuts_of(chain, of_data=of_data)
        if (cut.layer, cut.position, cut.output) == (done.layer, done.position, done.output)
    ]


class Passed:
    """A chain with what each of its layers reads and computes of some samples."""

    def __init__(
        self, chain: LearnedChain, inputs_ni: NDArray[np.float32], targets_no: NDArray[np.float32]
    ) -> None:
        self._chain, self._inputs, self._targets = chain, inputs_ni, targets_no
        passed = list(chain.passes(inputs_ni))
        self._steps, self._sums = [steps for steps, _ in passed], [sums for _, sums in passed]
        self._losses = _cross_entropies(self._sums[-1], targets_no)
        self.loss = float(self._losses.mean())

    def price(self, cut: Cut) -> float:
        """What the cut adds to the mean loss, for each effective bit operation."""
        layer = self._chain.layers[cut.layer]
        step = np.ldexp(1.0, -int(layer.data_fractions[cut.position]))
        if cut.output is None:
            changes = self._coarser(cut) - self._steps[cut.layer][:, cut.position] * step
            rows = np.flatnonzero(changes)
            sums = self._sums[cut.layer][rows] + changes[rows, None] * layer.weight_values[cut.position]
        else:
            of_weight = cut.steps - int(layer.weights[cut.position, cut.output])
            change = np.ldexp(of_weight, -int(layer.weight_fractions[cut.position, cut.output])) * step
            read = self._steps[cut.layer][:, cut.position]
            rows = np.flatnonzero(read)
            sums = self._sums[cut.layer][rows]
            sums[:, cut.output] += (change * read[rows]).astype(sums.dtype)
        losses = _cross_entropies(self._outputs(cut.layer, sums), self._targets[rows])
        added = float((losses - self._losses[rows]).sum()) / len(self._losses)
        return added / cut.saved(self._chain)

    def _coarser(self, cut: Cut) -> Floats:
        """The values of a datum with a step twice as large."""
        layer = cut.of(self._chain).layers[cut.layer]
        if cut.layer == 0:
            read = self._inputs[:, cut.position].astype(np.float64)
        else:
            read = np.maximum(self._sums[cut.layer - 1][:, cut.position], 0)
        steps = np.floor(np.ldexp(read, int(layer.data_fractions[cut.position])) + 0.5)
        low, high = (int(limit[cut.position]) for limit in layer.data_limits)
        if layer.data_wrap:
            steps = (steps - low) % (high - low + 1) + low
        return np.asarray(
            np.ldexp(np.clip(steps, low, high), -int(layer.data_fractions[cut.position])), np.float64
        )

    def _outputs(self, number: int, sums: Floats) -> Floats:
        """What the network gives where the sums of one of its layers are these."""
        for layer in self._chain.layers[number + 1 :]:
            sums = layer.sums(layer.rounded(np.maximum(sums, 0)), 1 + int(layer.data_fractions.max()))
        return sums


def _cross_entropies(outputs_no: Floats, targets_no: NDArray[np.float32]) -> Floats:
    shifted = outputs_no.astype(np.float64) - outputs_no.max(1, keepdims=True)
    return np.asarray(np.log(np.exp(shifted).sum(1)) - (shifted * targets_no).sum(1))
