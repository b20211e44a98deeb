"""Which trials are the better part of all trials, kept up from one trial to the next.

One loss: the smallest. Several: the fronts of trials that nothing else dominates, then those that only these
dominate, and so on; of the front that no longer fits as a whole, the members that together add most
hypervolume, chosen one after the other (Ozaki et al. 2020, Multiobjective tree-structured Parzen estimator).
That is how Optuna splits, which does it anew for every proposal.
"""

import bisect
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from optuna._hypervolume.hssp import _solve_hssp

Losses = NDArray[np.float64]
Rows = NDArray[np.intp]  # which trials, by when they were proposed

PLANE = 2
SMALLEST = 1e-12  # in the place of a reference of zero


class BetterPart(Protocol):
    """Takes up trials and tells the better ones."""

    def add(self, row: int, losses: Sequence[float]) -> None:
        """Take up a trial."""

    def best(self, count: int) -> Rows:
        """The rows of the ``count`` best trials, in no order."""


class Smallest:
    """The better part by one loss; of equal ones the earlier proposal."""

    def __init__(self) -> None:
        self._sorted: list[tuple[float, int]] = []

    def add(self, row: int, losses: Sequence[float]) -> None:
        bisect.insort(self._sorted, (losses[0], row))

    def best(self, count: int) -> Rows:
        return np.array([row for _, row in self._sorted[:count]], dtype=np.intp)


class Fronts:
    """The better part by several losses.

    As many fronts as were needed are kept; all other trials are dominated by a member of the last of them. A
    new trial goes into the first front that does not dominate it, and what it dominates there into the next
    (Li et al. 2017, Efficient nondomination level update).
    """

    def __init__(self, loss_count: int) -> None:
        self._losses: Losses = np.empty((64, loss_count))
        self._fronts: list[Rows] = []
        self._rest: list[int] = []
        self._picked: tuple[bytes, _Picks] | None = None

    def add(self, row: int, losses: Sequence[float]) -> None:
        if row >= len(self._losses):
            self._losses = np.resize(self._losses, (2 * row, self._losses.shape[1]))
        self._losses[row] = losses
        moving = np.array([row], dtype=np.intp)
        for depth in range(self._depth(self._losses[row]), len(self._fronts)):
            front = self._fronts[depth]
            falls = self._dominated(front, moving)
            if not falls.any():
                self._fronts[depth] = np.concatenate([front, moving])
                return
            self._fronts[depth] = np.concatenate([front[~falls], moving])
            moving = front[falls]
        self._rest += moving.tolist()

    def best(self, count: int) -> Rows:
        found: list[Rows] = []
        for depth in range(len(self._fronts) + len(self._rest)):
            if depth == len(self._fronts):
                self._next_front()
            front = self._fronts[depth]
            if len(front) > count:
                found.append(self._most_hypervolume(np.sort(front), count) if count else front[:0])
                break
            found.append(front)
            count -= len(front)
            if not count:
                break
        return np.concatenate(found)

    def _depth(self, losses: Losses) -> int:
        """The first front that does not dominate these losses; each dominates what the one after it does."""
        low, high = 0, len(self._fronts)
        while low < high:
            middle = (low + high) // 2
            members = self._losses[self._fronts[middle]]
            if ((members <= losses).all(axis=1) & (members < losses).any(axis=1)).any():
                low = middle + 1
            else:
                high = middle
        return low

    def _dominated(self, front: Rows, others: Rows) -> NDArray[np.bool_]:
        members, stronger = self._losses[front][:, None], self._losses[others]
        is_stronger: NDArray[np.bool_] = np.all(stronger <= members, axis=2)
        is_stronger &= np.any(stronger < members, axis=2)
        dominated: NDArray[np.bool_] = np.any(is_stronger, axis=1)
        return dominated

    def _next_front(self) -> None:
        rest = np.array(self._rest, dtype=np.intp)
        is_member = _not_dominated(self._losses[rest])
        self._fronts.append(rest[is_member])
        self._rest = rest[~is_member].tolist()

    def _most_hypervolume(self, front: Rows, count: int) -> Rows:
        key = front.tobytes()
        if self._picked is None or self._picked[0] != key:
            self._picked = key, _Picks(front, self._losses[front])
        return self._picked[1].first(count)


class _Picks:
    """Members of a front, in the order in which each adds most hypervolume to those before it."""

    def __init__(self, front: Rows, losses: Losses) -> None:
        self._front, self._losses = front, losses
        worst = losses.max(axis=0)
        reference = np.maximum(1.1 * worst, 0.9 * worst)
        reference[reference == 0] = SMALLEST
        self._reference = reference
        self._different, self._first = np.unique(losses, axis=0, return_index=True)
        self._in_plane = losses.shape[1] == PLANE and bool(np.isfinite(reference).all())
        self._left = np.arange(len(self._different))
        self._corners: Losses = np.repeat(reference[None], len(self._different), axis=0)
        self._chosen: list[int] = []
        self._solved: dict[int, Rows] = {}

    def first(self, count: int) -> Rows:
        if not self._in_plane or count >= len(self._different):
            if count not in self._solved:
                self._solved = {count: _solve_hssp(self._losses, self._front, count, self._reference)}
            return self._solved[count]
        while len(self._chosen) < count:
            self._choose()
        return self._front[self._first[self._chosen[:count]]]

    def _choose(self) -> None:
        """Each member left adds a rectangle; the one of the largest cuts off those of its neighbours."""
        losses = self._different[self._left]
        sides = self._corners - losses
        largest = int(np.argmax(sides[:, 0] * sides[:, 1]))
        self._chosen.append(int(self._left[largest]))
        kept = np.arange(len(losses)) != largest
        self._left, self._corners = self._left[kept], self._corners[kept]
        np.minimum(self._corners[:largest, 0], losses[largest, 0], out=self._corners[:largest, 0])
        np.minimum(self._corners[largest:, 1], losses[largest, 1], out=self._corners[largest:, 1])


def _not_dominated(losses: Losses) -> NDArray[np.bool_]:
    """Whether no other row dominates each row; equal rows do not dominate each other."""
    different, group = np.unique(losses, axis=0, return_inverse=True)
    is_member = np.zeros(len(different), dtype=bool)
    if losses.shape[1] == PLANE:
        second = different[:, 1]
        is_member[0] = True
        is_member[1:] = second[1:] < np.minimum.accumulate(second)[:-1]
    else:
        left = np.arange(len(different))
        while len(left):  # sorted: a row can only be dominated by one before it
            is_member[left[0]] = True
            left = left[(different[left] < different[left[0]]).any(axis=1)]
    members: NDArray[np.bool_] = is_member[group.reshape(-1)]
    return members
