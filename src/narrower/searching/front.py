"""Pareto dominance over losses: smaller is better in every column."""

import numpy as np
from numpy.typing import NDArray

Losses = NDArray[np.float64]
FEW = 128  # rows that are compared with each other one by one


def dominates(a: Losses, b: Losses) -> bool:
    """Whether ``a`` is nowhere worse than ``b`` and somewhere better."""
    return bool((a <= b).all() and (a < b).any())


def front_indices(losses: Losses) -> NDArray[np.intp]:
    """Rows [N, M] that no other row dominates, in order; of equal rows only the first.

    Divides and conquers (Kung, Luccio, Preparata 1975): O(N log N) for one and two columns, for more about
    O(N log(N)**(M - 2)).
    """
    if len(losses) == 0:
        return np.empty(0, dtype=np.intp)
    if losses.shape[1] <= 2:  # noqa: PLR2004 - a sweep is enough in the plane
        return _sweep(losses)
    # Lexicographic order: a row can only be dominated by one that comes before it.
    order = np.lexsort((np.arange(len(losses)), *losses.T[::-1]))
    is_first = np.append(True, (losses[order[1:]] != losses[order[:-1]]).any(axis=1))
    order = order[is_first]
    return np.sort(order[_kept(losses[order])])


def _kept(rows: Losses) -> NDArray[np.intp]:
    """Which of different rows in lexicographic order no other one dominates."""
    if len(rows) <= FEW:
        left, kept = np.arange(len(rows)), list[int]()
        while len(left):
            kept.append(int(left[0]))
            left = left[(rows[left] < rows[left[0]]).any(axis=1)]
        return np.array(kept, dtype=np.intp)
    half = len(rows) // 2
    first, second = _kept(rows[:half]), half + _kept(rows[half:])
    is_beaten = _reached(rows[first, 1:], rows[second, 1:])
    return np.concatenate([first, second[~is_beaten]])


def _reached(others: Losses, rows: Losses) -> NDArray[np.bool_]:
    """For each of ``rows`` [N, M], whether one of ``others`` is nowhere above it."""
    columns = rows.shape[1]
    if len(others) == 0 or len(rows) == 0:
        return np.zeros(len(rows), dtype=bool)
    if columns == 0:
        return np.ones(len(rows), dtype=bool)
    if columns <= 2:  # noqa: PLR2004 - a sweep
        order = np.argsort(others[:, 0], kind="stable")
        best = np.append(np.inf, np.minimum.accumulate(others[order, -1]))
        before = np.searchsorted(others[order, 0], rows[:, 0], side="right")
        below: NDArray[np.bool_] = best[before] <= rows[:, -1]
        return below & (before > 0)
    if len(others) * len(rows) <= FEW * FEW:
        at_most = np.all(others[:, None] <= rows, axis=2)
        return np.asarray(np.any(at_most, axis=0))
    last = np.concatenate([others[:, -1], rows[:, -1]])
    middle = np.median(last)
    if middle == last.min():
        above = last[last > middle]
        if len(above) == 0:  # the column says nothing
            return _reached(others[:, :-1], rows[:, :-1])
        middle = above.min()
    low, is_low = others[:, -1] < middle, rows[:, -1] < middle
    found = np.empty(len(rows), dtype=np.bool_)
    found[is_low] = _reached(others[low], rows[is_low])
    high = np.flatnonzero(~is_low)
    by_low = _reached(others[low, :-1], rows[high, :-1])
    found[high[by_low]] = True
    left = high[~by_low]
    found[left] = _reached(others[~low], rows[left])
    return found


def _sweep(losses: Losses) -> NDArray[np.intp]:
    first, last = losses[:, 0], losses[:, -1]
    order = np.lexsort((np.arange(len(losses)), last, first))
    best_before = np.minimum.accumulate(np.concatenate([[np.inf], last[order][:-1]]))
    kept = order[last[order] < best_before]
    return np.sort(kept[:1] if losses.shape[1] == 1 else kept)


def hypervolume(losses: Losses, reference: Losses) -> float:
    """Volume that the rows [N, M] dominate up to ``reference`` [M]; rows beyond it count nothing.

    Exact, by slicing along the last column (M small); a union of boxes, so equal rows count once.
    """
    inside = losses[(losses < reference).all(axis=1)] if len(losses) else losses
    if len(inside) == 0:
        return 0.0
    return _volume(inside[front_indices(inside)], reference)


def _volume(members: Losses, reference: Losses) -> float:
    if members.shape[1] == 1:
        return float(reference[0] - members[:, 0].min())
    order = np.argsort(members[:, -1], kind="stable")
    members = members[order]
    heights = np.append(members[1:, -1], reference[-1]) - members[:, -1]
    if members.shape[1] == 2:  # noqa: PLR2004 - the plane: a sum of rectangles
        widths = reference[0] - np.minimum.accumulate(members[:, 0])
        return float((widths * heights).sum())
    total = 0.0
    for count, height in enumerate(heights, start=1):
        if height > 0:
            below = members[:count, :-1]
            total += height * _volume(below[front_indices(below)], reference[:-1])
    return total


class Front:
    """The rows seen so far that no other dominates, with their numbers; equal rows are counted."""

    def __init__(self, columns: int) -> None:
        self.losses: Losses = np.empty((0, columns))
        self.numbers: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self.equals: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self.numbers)

    def add(self, losses: Losses, numbers: NDArray[np.int64]) -> None:
        """Add rows [N, M] with the numbers of their trials."""
        if len(losses) == 0:
            return
        merged = np.concatenate([self.losses, losses])
        all_numbers = np.concatenate([self.numbers, numbers])
        order = np.lexsort(merged.T)
        differs = (merged[order[1:]] != merged[order[:-1]]).any(axis=1)
        group = np.empty(len(merged), dtype=np.intp)
        group[order] = np.append(0, np.cumsum(differs))
        added = np.bincount(group[len(self.losses) :], minlength=len(merged))
        kept = self._kept(merged)
        self.losses, self.numbers = merged[kept], all_numbers[kept]
        self.equals = {
            number: self.equals.get(number, -1) + count
            for number, count in zip(self.numbers.tolist(), added[group[kept]].tolist(), strict=True)
        }

    def _kept(self, merged: Losses) -> NDArray[np.intp]:
        """Which of the members and of the rows after them are the front: members do not beat each other."""
        count = len(self.losses)
        if count <= FEW or merged.shape[1] <= 2:  # noqa: PLR2004 - a sweep
            return front_indices(merged)
        new = count + front_indices(merged[count:])
        new = new[~_reached(self.losses, merged[new])]
        members = np.flatnonzero(~_reached(merged[new], self.losses))
        return np.concatenate([members, new])
