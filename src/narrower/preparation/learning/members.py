"""Which of the networks that a training passes through are kept: those that no other beats."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from narrower.preparation.learning.deployed import LearnedChain


@dataclass(frozen=True, eq=False)
class Member:
    """A deployed network, its exact cost, and how many validation samples it gets right.

    ``number`` counts the members of a training from 0, in the order in which they were found.
    """

    chain: LearnedChain
    ebops: int
    correct: int  # of the validation part
    epoch: int
    candidate: int
    number: int = 0


class Members:
    """Members of which none is both as cheap and as good as another; at most so many."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: list[Member] = []

    def __iter__(self) -> Iterator[Member]:
        """From the cheapest to the best."""
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)

    def restore(self, members: Iterable[Member]) -> None:
        """Hold what another one held."""
        self._kept = list(members)

    def would_keep(self, ebops: float, correct: float) -> bool:
        """Whether no member is as cheap and as good."""
        return not any(m.ebops <= ebops and m.correct >= correct for m in self._kept)

    def add(self, member: Member) -> bool:
        """Keep a member unless another beats it; those that it beats go."""
        if not self.would_keep(member.ebops, member.correct):
            return False
        self._kept = [m for m in self._kept if m.ebops < member.ebops or m.correct > member.correct]
        self._kept.append(member)
        self._kept.sort(key=lambda m: m.ebops)
        while len(self._kept) > self._most:
            self._drop_least()
        return True

    def _drop_least(self) -> None:
        """Drop the one between the ends that is least better than its cheaper neighbour."""
        gains = [dearer.correct - cheaper.correct for cheaper, dearer in pairwise(self._kept)]
        between = range(len(gains) - 1) or range(1)
        del self._kept[1 + min(between, key=gains.__getitem__)]
