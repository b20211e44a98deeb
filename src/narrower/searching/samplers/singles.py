"""Which plans show what each option of a slot loses on its own, and those losses."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from narrower.searching.format_slot import FormatSlot
from narrower.searching.space import Slot

MOST_SINGLES = 4096  # options of a slot that are measured one by one

LossOf = Callable[[int], float]  # of an option, with the other slots as they are


@dataclass(frozen=True, slots=True)
class SlotLosses:
    """Options [N] of a slot, and what they are thought to lose [N]."""

    options: NDArray[np.int64]
    losses: NDArray[np.float64]


class Singles(Protocol):
    """The options of a slot that are measured."""

    @property
    def measured(self) -> Sequence[int]:
        """These, in their order."""

    def losses(self, loss_of: LossOf) -> SlotLosses:
        """What follows for the options that can be on a front."""


@dataclass(frozen=True)
class EveryOption:
    """Each option is measured."""

    slot: Slot

    @property
    def measured(self) -> Sequence[int]:
        return range(self.slot.count)

    def losses(self, loss_of: LossOf) -> SlotLosses:
        options = np.arange(self.slot.count)
        return SlotLosses(options, np.array([loss_of(option) for option in self.measured]))


@dataclass(frozen=True)
class EveryOperand:
    """Each format of each operand is measured, with the others as in ``top``; what they lose is added up."""

    slot: FormatSlot
    top: int

    @cached_property
    def _tops(self) -> list[tuple[int, ...]]:
        """For each block the formats that stay: those of ``top``, elsewhere the last of each operand."""
        (block,), (places,) = self.slot.numbering.places(np.array([self.top]))
        tops = [tuple(len(own) - 1 for own in lists) for lists in self.slot.numbering.blocks]
        tops[int(block)] = tuple(places.tolist())
        return tops

    def _changed(self, block: int, operand: int) -> list[int]:
        """For each format of an operand the option that differs from the top of a block in it alone."""
        top, numbering = self._tops[block], self.slot.numbering
        return [
            numbering.number(block, (*top[:operand], place, *top[operand + 1 :]))
            for place in range(len(numbering.blocks[block][operand]))
        ]

    @property
    def measured(self) -> Sequence[int]:
        return list(
            dict.fromkeys(
                option
                for block, lists in enumerate(self.slot.numbering.blocks)
                for operand in range(len(lists))
                for option in self._changed(block, operand)
            )
        )

    def losses(self, loss_of: LossOf) -> SlotLosses:
        """Of formats of the same size only the best of each operand can be on a front."""
        numbering, found = self.slot.numbering, dict[int, float]()
        for block, top in enumerate(self._tops):
            base = loss_of(numbering.number(block, top))
            best = [self._best(block, operand, base, loss_of) for operand in range(len(top))]
            for combination in product(*best):
                option = numbering.number(block, [place for place, _ in combination])
                found.setdefault(option, base + sum(loss for _, loss in combination))
        return SlotLosses(np.array(list(found), dtype=np.int64), np.array(list(found.values())))

    def _best(self, block: int, operand: int, base: float, loss_of: LossOf) -> list[tuple[int, float]]:
        """Of an operand's formats of each size the place of the best, and what it adds to the loss."""
        added = [loss_of(option) - base for option in self._changed(block, operand)]
        sizes = self.slot.sizes[operand][list(self.slot.numbering.blocks[block][operand])].tolist()
        best: dict[int, int] = {}
        for place, size in enumerate(sizes):
            if size not in best or added[place] < added[best[size]]:
                best[size] = place
        return [(place, added[place]) for place in best.values()]


def singles(slot: Slot, top: int) -> Singles:
    """What to measure of a slot whose others stay as in the top plan, where it has the option ``top``."""
    if isinstance(slot, FormatSlot) and slot.count > MOST_SINGLES:
        return EveryOperand(slot, top)
    return EveryOption(slot)
