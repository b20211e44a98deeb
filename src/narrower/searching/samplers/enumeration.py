"""Samplers that need no answers: every plan, a grid of plans, or plans at random without replacement."""

import random
from collections.abc import Iterator, Sequence
from itertools import islice, product
from math import prod

import numpy as np

from narrower.searching.samplers.sampler import Losses
from narrower.searching.space import Options, Space

LARGEST_PERMUTATION = 2**22  # above, numbers are drawn and those drawn before are drawn again


class _Stream:
    """Proposes what an iterator gives."""

    never_repeats = True
    covers_space = True
    default_batch = 1024
    note: str | None = None

    def __init__(self, assignments: Iterator[Options]) -> None:
        self._assignments = assignments

    def ask(self, count: int) -> Sequence[Options]:
        return list(islice(self._assignments, count))

    def tell(self, options: Options, losses: Losses | None) -> None:
        """Nothing is learnt."""


class BruteForce(_Stream):
    """Every plan once, in the order of their numbers; a seeded random subset where fewer are wanted."""

    def __init__(self, space: Space, seed: int, wanted: int) -> None:
        super().__init__(space.enumerate() if wanted >= space.size else _shuffled(space, seed))


class Random(_Stream):
    """Plans at random, each equally likely, none twice."""

    def __init__(self, space: Space, seed: int, wanted: int) -> None:  # noqa: ARG002 - one signature for all
        super().__init__(_shuffled(space, seed))


class Grid(_Stream):
    """The finest grid of at most ``wanted`` plans that is evenly spread over every slot's options."""

    covers_space = False

    def __init__(self, space: Space, seed: int, wanted: int) -> None:  # noqa: ARG002 - a grid has no chance
        counts = grid_counts(space.counts, wanted)
        axes = [
            np.unique(np.linspace(0, size - 1, count).round().astype(int)).tolist()
            for size, count in zip(space.counts, counts, strict=True)
        ]
        super().__init__(product(*axes))


def grid_counts(sizes: Sequence[int], wanted: int) -> list[int]:
    """Options of each slot in a grid of at most ``wanted`` plans: the coarsest slot grows first."""
    counts = [1] * len(sizes)
    growing = set(range(len(sizes)))
    while growing:
        slot = min(growing, key=lambda i: (counts[i], i))
        if counts[slot] == sizes[slot] or prod(counts) // counts[slot] * (counts[slot] + 1) > wanted:
            growing.discard(slot)
        else:
            counts[slot] += 1
    return counts


def _shuffled(space: Space, seed: int) -> Iterator[Options]:
    if space.size <= LARGEST_PERMUTATION:
        for index in np.random.default_rng(seed).permutation(space.size):
            yield space.options_at(int(index))
        return
    chance, drawn = random.Random(seed), set[int]()
    while len(drawn) < space.size:
        index = chance.randrange(space.size)
        if index not in drawn:
            drawn.add(index)
            yield space.options_at(index)
