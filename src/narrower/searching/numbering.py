"""Numbers for combinations of the entries of several lists, without listing them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod

import numpy as np
from numpy.typing import NDArray

from narrower.errors import SettingsError

Numbers = NDArray[np.int64]
Entries = tuple[int, ...]
MOST_SHARED = 100_000  # combinations that two blocks have in common


@dataclass(frozen=True)
class Numbering:
    """All combinations of one entry of each list, block after block; the last list varies fastest.

    ``blocks`` hold the lists, with the same number of them in each; the entries of a list are different
    numbers. A combination that several blocks have counts where it comes first.
    """

    blocks: tuple[tuple[Entries, ...], ...]

    @cached_property
    def _shared(self) -> list[Numbers]:
        """For each block, the combinations that blocks before it have, by their rank among all of its own.

        Raises:
            SettingsError: there are very many.
        """
        found = []
        for number, lists in enumerate(self.blocks):
            ranks: set[int] = set()
            for earlier in self.blocks[:number]:
                common = [
                    [place for place, entry in enumerate(own) if entry in set(others)]
                    for own, others in zip(lists, earlier, strict=True)
                ]
                if prod(map(len, common)) > MOST_SHARED:
                    raise SettingsError(
                        f"two names give more than {MOST_SHARED:,} equal combinations of formats"
                    )
                ranks |= {self._rank(number, places) for places in product(*common)}
            found.append(np.array(sorted(ranks), dtype=np.int64))
        return found

    def _rank(self, block: int, places: Sequence[int]) -> int:
        rank = 0
        for place, entries in zip(places, self.blocks[block], strict=True):
            rank = rank * len(entries) + place
        return rank

    @cached_property
    def _starts(self) -> Numbers:
        """The first number of each block, and the number of all combinations."""
        sizes = [
            prod(map(len, lists)) - len(shared)
            for lists, shared in zip(self.blocks, self._shared, strict=True)
        ]
        return np.cumsum([0, *sizes], dtype=np.int64)

    @cached_property
    def count(self) -> int:
        """Number of different combinations."""
        return int(self._starts[-1])

    def number(self, block: int, places: Sequence[int]) -> int:
        """The number of the combination of the entries at these places of a block's lists."""
        rank = self._rank(block, places)
        before = int(np.searchsorted(self._shared[block], rank))
        if before < len(self._shared[block]) and self._shared[block][before] == rank:
            return self._earlier(
                [lists[place] for lists, place in zip(self.blocks[block], places, strict=True)]
            )
        return int(self._starts[block]) + rank - before

    def _earlier(self, entries: Sequence[int]) -> int:
        """The number of a combination in the first block that has it."""
        for block, lists in enumerate(self.blocks):
            if all(entry in own for entry, own in zip(entries, lists, strict=True)):
                return self.number(block, [own.index(e) for e, own in zip(entries, lists, strict=True)])
        raise AssertionError("no block has it")

    def places(self, numbers: Numbers) -> tuple[Numbers, Numbers]:
        """The blocks [N] of combinations with these numbers [N], and the entries' places [N, lists]."""
        blocks = np.searchsorted(self._starts, numbers, side="right") - 1
        places = np.empty((len(numbers), len(self.blocks[0])), dtype=np.int64)
        for block in np.unique(blocks):
            chosen = blocks == block
            rank = self._with_shared(int(block), numbers[chosen] - self._starts[block])
            for column in reversed(range(places.shape[1])):
                rank, places[chosen, column] = np.divmod(rank, len(self.blocks[block][column]))
        return blocks, places

    def _with_shared(self, block: int, numbers: Numbers) -> Numbers:
        """Ranks among all of a block's combinations, from numbers that leave out the shared ones."""
        shared = self._shared[block]
        # The k-th shared one lies before every number from its rank less k on.
        return numbers + np.searchsorted(shared - np.arange(len(shared)), numbers, side="right")

    def entries(self, numbers: Numbers) -> Numbers:
        """The entries [N, lists] of combinations with these numbers [N]."""
        blocks, places = self.places(numbers)
        entries = np.empty_like(places)
        for block in np.unique(blocks):
            chosen = blocks == block
            for column, own in enumerate(self.blocks[block]):
                entries[chosen, column] = np.array(own, dtype=np.int64)[places[chosen, column]]
        return entries
