"""Which plan is tried where a sampler proposes nothing new: one at random of those that are left."""

import random
from collections.abc import Container, Sequence

from narrower.searching.costs import SpaceCosts, broken
from narrower.searching.objective import Constraint
from narrower.searching.space import Space

PATIENCE = 100  # proposals in a row that repeat or are not admitted before a plan is drawn instead
ENUMERABLE = 2**22  # in smaller spaces what is left untried is found by looking at every plan


class LeftOver:
    """The plans of a space that the constraints on costs admit."""

    def __init__(self, space: Space, costs: SpaceCosts, constraints: Sequence[Constraint], seed: int) -> None:
        self._space, self._costs, self._constraints = space, costs, tuple(constraints)
        self._chance = random.Random(seed)

    def draw(self, seen: Container[int]) -> int | None:
        """An admitted plan that was not seen; None when there is none, or none is found."""
        for _ in range(PATIENCE):
            index = self._chance.randrange(self._space.size)
            if index not in seen and self._admitted([index])[0]:
                return index
        if self._space.size > ENUMERABLE:
            return None
        left = [index for index in range(self._space.size) if index not in seen]
        admitted = [i for i, is_admitted in zip(left, self._admitted(left), strict=True) if is_admitted]
        return self._chance.choice(admitted) if admitted else None

    def _admitted(self, indices: Sequence[int]) -> list[bool]:
        if not indices:
            return []
        costs = self._costs.of([self._space.options_at(index) for index in indices])
        return [reason is None for reason in broken(self._constraints, costs, len(indices))]
