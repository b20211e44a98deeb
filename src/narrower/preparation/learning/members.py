"""Which of the networks that a training passes through are kept: those that no other beats."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Generic, TypeVar

Network = TypeVar("Network")


@dataclass(frozen=True, eq=False)
class Member(Generic[Network]):
    """A deployed network, its exact cost, and its quality on the validation part; more is better.

    ``number`` counts the members of a training from 0, in the order in which they were found.
    """

    network: Network
    cost: float
    quality: float
    epoch: int
    candidate: int
    number: int = 0


class Members(Generic[Network]):
    """Members of which none is both as cheap and as good as another; at most so many."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: list[Member[Network]] = []

    def __iter__(self) -> Iterator[Member[Network]]:
        """From the cheapest to the best."""
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)

    def restore(self, members: Iterable[Member[Network]]) -> None:
        """Hold what another one held."""
        self._kept = list(members)

    def would_keep(self, cost: float, quality: float) -> bool:
        """Whether no member is as cheap and as good."""
        return not any(m.cost <= cost and m.quality >= quality for m in self._kept)

    def add(self, member: Member[Network]) -> bool:
        """Keep a member unless another beats it; those that it beats go."""
        if not self.would_keep(member.cost, member.quality):
            return False
        self._kept = [m for m in self._kept if m.cost < member.cost or m.quality > member.quality]
        self._kept.append(member)
        self._kept.sort(key=lambda m: m.cost)
        while len(self._kept) > self._most:
            self._drop_least()
        return True

    def _drop_least(self) -> None:
        """Drop the one between the ends that is least better than its cheaper neighbour."""
        gains = [dearer.quality - cheaper.quality for cheaper, dearer in pairwise(self._kept)]
        between = range(len(gains) - 1) or range(1)
        del self._kept[1 + min(between, key=gains.__getitem__)]
