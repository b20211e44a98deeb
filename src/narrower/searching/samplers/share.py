"""A sampler for one part of a search, and a sampler that repeats recorded proposals."""

from collections.abc import Iterator, Sequence
from itertools import islice

from narrower.searching.samplers.sampler import Losses, Sampler
from narrower.searching.space import Options, Space


class Share:
    """The proposals number ``part``, ``part + parts``, ... of a sampler, the first one being number 1."""

    never_repeats = True
    covers_space = False
    note: str | None = None

    def __init__(self, sampler: Sampler, part: int, parts: int) -> None:
        self._own = islice(all_proposals(sampler), part - 1, None, parts)
        self.default_batch = sampler.default_batch

    def ask(self, count: int) -> Sequence[Options]:
        return list(islice(self._own, count))

    def tell(self, options: Options, losses: Losses | None) -> None:
        """Nothing is learnt."""


class Recorded:
    """Plans that were tried, in this order."""

    never_repeats = True
    covers_space = False
    default_batch = 1024
    note: str | None = None

    def __init__(self, space: Space, indices: Sequence[int]) -> None:
        self._left = iter(indices)
        self._space = space

    def ask(self, count: int) -> Sequence[Options]:
        return [self._space.options_at(index) for index in islice(self._left, count)]

    def tell(self, options: Options, losses: Losses | None) -> None:
        """Nothing is learnt."""


def all_proposals(sampler: Sampler) -> Iterator[Options]:
    """Everything that a sampler proposes by itself."""
    while some := sampler.ask(sampler.default_batch):
        yield from some


def share_size(total: int, part: int, parts: int) -> int:
    """How many of ``total`` proposals part ``part`` of ``parts`` has."""
    return len(range(part - 1, total, parts))
