"""A plan as numbers that a model can learn from: how far up its values each choice is."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from narrower.searching.samplers.order import ascending
from narrower.searching.space import Slot

Rows = NDArray[np.float64]

FEW = 2**15  # options of a slot whose features are remembered


@dataclass(frozen=True)
class SlotFeatures:
    """Where the choices of a slot lie between their smallest (0) and largest (1) value."""

    slot: Slot

    @cached_property
    def _varied(self) -> list[int]:
        return [number for number, choice in enumerate(self.slot.choices) if len(choice.values) > 1]

    @property
    def count(self) -> int:
        """Number of choices that can be made in more than one way."""
        return len(self._varied)

    @cached_property
    def _ranks(self) -> list[Rows]:
        ranks = []
        for number in self._varied:
            values = self.slot.choices[number].values
            rank = np.empty(len(values))
            rank[ascending(values)] = np.linspace(0.0, 1.0, len(rank))
            ranks.append(rank)
        return ranks

    @cached_property
    def _table(self) -> Rows | None:
        """The features of all options, where these are few."""
        count = self.slot.count
        return self._computed(np.arange(count)) if count <= FEW else None

    def of(self, options: NDArray[np.int64]) -> Rows:
        """The features [N, count] of options [N]."""
        return self._computed(options) if self._table is None else self._table[options]

    def _computed(self, options: NDArray[np.int64]) -> Rows:
        positions = self.slot.positions(options)
        found = np.zeros((len(options), self.count))
        for column, (number, rank) in enumerate(zip(self._varied, self._ranks, strict=True)):
            found[:, column] = rank[positions[:, number]]
        return found
