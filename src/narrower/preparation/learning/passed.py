"""What a deployed network computes of some samples, and what changes in it where one number is cut.

Whole numbers are exact in floats, so that sums that are changed by one product are those of the network that
has the other number. Shapes in names: n samples, r some of them, i what a layer reads, o its outputs.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrower.preparation.learning.cuts import Cut
from narrower.preparation.learning.deployed import (
    LearnedChain,
    half_step_fraction,
    unbounded_steps,
)
from narrower.tasks.classification.decided import decided

Floats = NDArray[Any]
Rows = NDArray[np.intp]


class Passed:
    """A chain with what each of its layers reads, in steps, and computes of some samples."""

    def __init__(
        self,
        chain: LearnedChain,
        inputs_ni: NDArray[np.float32],
        targets_no: NDArray[np.float32] | None = None,
        known: Sequence[tuple[Floats, Floats]] | None = None,
    ) -> None:
        """``targets_no`` are shares of classes, where losses are asked for; ``known`` the steps and sums."""
        self.chain, self._inputs, self._targets = chain, inputs_ni, targets_no
        passed = list(chain.passes(inputs_ni)) if known is None else known
        self._steps, self._sums = [steps for steps, _ in passed], [sums for _, sums in passed]

    @property
    def outputs(self) -> Floats:
        """Of the network [N, O]."""
        return self._sums[-1]

    def hits(self, targets: NDArray[np.int64]) -> int:
        """How many samples get their class."""
        return int((decided(self.outputs) == targets).sum())

    @cached_property
    def _losses(self) -> Floats:
        assert self._targets is not None
        return _cross_entropies(self.outputs, self._targets)

    @cached_property
    def loss(self) -> float:
        """The mean cross entropy with the targets."""
        return float(self._losses.mean())

    def price(self, cut: Cut) -> float:
        """What the cut adds to the mean loss, for each effective bit operation."""
        assert self._targets is not None
        last = len(self._sums) - 1
        number, at = cut.layer, cut.layer
        if cut.output is None:
            changes = self._changes_of_data(cut)
            looked_at = rows = np.flatnonzero(changes)
            sums = (
                self._sums[number][rows]
                + changes[rows, None] * self.chain.layers[number].weight_values[cut.position]
            )
        else:
            changes = self._changes_of_sums(cut)
            looked_at = rows = np.flatnonzero(self._steps[number][:, cut.position])
            if number == last:
                sums = self._sums[number][rows]
                sums[:, cut.output] += changes[rows].astype(sums.dtype)
            else:
                at = number + 1
                rows, sums = self._sums_behind(number, cut.output, changes)
        rows, outputs = self._outputs(at, rows, sums)
        differences = np.zeros(len(self._losses))
        differences[rows] = _cross_entropies(outputs, self._targets[rows]) - self._losses[rows]
        return float(differences[looked_at].sum()) / len(self._losses) / cut.saved(self.chain)

    def after(self, cut: Cut) -> "Passed":
        """The chain after the cut, with what it computes."""
        chain, number = cut.of(self.chain), cut.layer
        steps, sums = list(self._steps), list(self._sums)
        if cut.output is None:
            changes = self._changes_of_data(cut)
            steps[number] = steps[number].copy()
            steps[number][:, cut.position] += np.ldexp(
                changes, int(self.chain.layers[number].data_fractions[cut.position])
            )
            steps[number][:, cut.position] /= 2
            rows = np.flatnonzero(changes)
            added = changes[rows, None] * chain.layers[number].weight_values[cut.position]
        else:
            every = self._changes_of_sums(cut)
            rows = np.flatnonzero(every)
            added = np.zeros((len(rows), sums[number].shape[1]))
            added[:, cut.output] = every[rows]
        sums[number] = sums[number].astype(self._sum_type(chain, number))
        sums[number][rows] += added.astype(sums[number].dtype)
        for following in range(number + 1, len(sums)):
            layer = chain.layers[following]
            read = layer.rounded(np.maximum(sums[following - 1][rows], 0))
            changed = (read != steps[following][rows]).any(1)
            rows, read = rows[changed], read[changed]
            steps[following], sums[following] = steps[following].copy(), sums[following].copy()
            steps[following][rows] = read
            sums[following][rows] = layer.sums(read, self._next_fraction(following))
        return Passed(chain, self._inputs, self._targets, list(zip(steps, sums, strict=True)))

    def _sum_type(self, chain: LearnedChain, number: int) -> Any:
        """A float type that holds the sums of a layer before and after."""
        wanted = chain.layers[number].sum_type(self._next_fraction(number))
        return np.promote_types(self._sums[number].dtype, wanted)

    def _next_fraction(self, number: int) -> int:
        if number + 1 == len(self._sums):
            return 0
        return half_step_fraction(self.chain.layers[number + 1].data_fractions)

    def _changes_of_sums(self, cut: Cut) -> Floats:
        """What a cut of a weight adds to the sum of its output."""
        layer, at = self.chain.layers[cut.layer], (cut.position, cut.output)
        by_weight = cut.steps - int(layer.weights[at])
        exponent = int(layer.weight_fractions[at]) + int(layer.data_fractions[cut.position])
        return np.asarray(self._steps[cut.layer][:, cut.position] * np.ldexp(by_weight, -exponent))

    def _changes_of_data(self, cut: Cut) -> Floats:
        """What a step twice as large adds to the values of a datum."""
        layer, position = self.chain.layers[cut.layer], cut.position
        if cut.layer == 0:
            read = self._inputs[:, position].astype(np.float64)
        else:
            read = np.maximum(self._sums[cut.layer - 1][:, position], 0)
        fraction, width = int(layer.data_fractions[position]), int(layer.data_widths[position])
        is_signed = bool(layer.data_signed[position])
        coarser = _rounded(read, fraction - 1, width - 1, is_signed=is_signed, wraps=layer.data_wrap)
        before = self._steps[cut.layer][:, position] * np.ldexp(1.0, -fraction)
        return np.asarray(np.ldexp(coarser, 1 - fraction) - before)

    def _sums_behind(self, number: int, output: int, changes_n: Floats) -> tuple[Rows, Floats]:
        """Rows and sums that change in the next layer where something is added to an output."""
        layer = self.chain.layers[number + 1]
        values = np.maximum(self._sums[number][:, output] + changes_n, 0)
        fraction, width = int(layer.data_fractions[output]), int(layer.data_widths[output])
        is_signed = bool(layer.data_signed[output])
        read = _rounded(values, fraction, width, is_signed=is_signed, wraps=layer.data_wrap)
        changes = read - self._steps[number + 1][:, output]
        rows = np.flatnonzero(changes)
        weights = np.ldexp(layer.weight_values[output], -fraction)
        return rows, self._sums[number + 1][rows] + changes[rows, None] * weights

    def _outputs(self, number: int, rows: Rows, sums_ro: Floats) -> tuple[Rows, Floats]:
        """What the network gives where the sums of one of its layers are these; other rows do not change."""
        for following in range(number + 1, len(self._sums)):
            layer = self.chain.layers[following]
            read = layer.rounded(np.maximum(sums_ro, 0))
            changed = (read != self._steps[following][rows]).any(1)
            rows = rows[changed]
            sums_ro = layer.sums(read[changed], self._next_fraction(following))
        return rows, sums_ro


def _rounded(values: Floats, fraction: int, width: int, *, is_signed: bool, wraps: bool) -> Floats:
    """One datum in steps, as ``LearnedLayer.rounded`` has it."""
    steps = unbounded_steps(values, np.array(fraction))
    low = -(1 << (width - 1)) if is_signed and width else 0
    high = (1 << max(width - is_signed, 0)) - 1
    if wraps:
        return np.asarray((steps - low) % (high - low + 1) + low)
    return np.asarray(np.clip(steps, low, high))


def _cross_entropies(outputs_no: Floats, targets_no: NDArray[np.float32]) -> Floats:
    shifted = outputs_no.astype(np.float64) - outputs_no.max(1, keepdims=True)
    return np.asarray(np.log(np.exp(shifted).sum(1)) - (shifted * targets_no).sum(1))
