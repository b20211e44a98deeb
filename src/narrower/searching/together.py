"""Which plans are scored at a time: rounds of proposals, and lists of plans that are trained together."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from narrower.plan.plan import Plan
from narrower.searching.space import Options
from narrower.tasks.quality import Quality

FIRST = 16  # plans that are trained first, so that something is soon seen

EvaluateLists = Callable[[Sequence[Sequence[Plan]]], list[Quality]]


@dataclass(frozen=True, slots=True, eq=False)
class Round:
    """Proposals of one time, why each is cut by its costs, and the positions of those that are new."""

    proposals: Sequence[Options]
    indices: Sequence[int]
    costs: Mapping[str, Any]  # an array for each
    reasons: Sequence[str | None]
    fresh: list[int] = field(default_factory=list)


List = tuple[Round, Sequence[int]]  # positions of new plans in a round


@dataclass(frozen=True, slots=True)
class Together:
    """``plans`` are proposed at a time where each is trained, and so many are scored at a time.

    Where other processes train, ``evaluate_lists`` is given ``lists`` lists at a time, each of at most
    ``in_list`` plans. They are cut as in one process, so that the same plans are trained together.
    """

    plans: int = 1
    evaluate_lists: EvaluateLists | None = None
    in_list: int = 1
    lists: int = 1

    @property
    def is_fixed(self) -> bool:
        """Whether it is not the time that plans take which decides how many are scored at a time."""
        return self.plans > 1 or self.evaluate_lists is not None

    def chunks(self, rounds: Sequence[Round], *, is_first: bool) -> Iterator[list[List]]:
        """Lists that are scored at a time; ``is_first``: these are the first plans of a run."""
        lists: list[List] = []
        for each in rounds:
            start = 0
            for length in self._cuts(len(each.fresh), is_first and each is rounds[0]):
                lists.append((each, each.fresh[start : start + length]))
                start += length
        for first in range(0, len(lists), self.lists):
            yield lists[first : first + self.lists]

    def _cuts(self, count: int, is_first: bool) -> list[int]:
        """The lengths of lists."""
        parts: list[int] = []
        left = count
        while left > 0:
            most = min(FIRST, self.plans) if is_first and not parts else self.plans
            parts.append(min(most, left))
            left -= parts[-1]
        if self.evaluate_lists is None:
            return parts
        return [min(self.in_list, part - start) for part in parts for start in range(0, part, self.in_list)]


ALONE = Together()


def costs_of(lists: Sequence[List]) -> dict[str, list[float]]:
    """The costs of all plans of lists."""
    found: dict[str, list[float]] = {}
    for each, positions in lists:
        for name, values in each.costs.items():
            found.setdefault(name, []).extend(values[positions].tolist())
    return found
