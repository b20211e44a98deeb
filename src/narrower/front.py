"""Pareto dominance over losses: smaller is better in every column."""

import numpy as np
from numpy.typing import NDArray

Losses = NDArray[np.float64]


def dominates(a: Losses, b: Losses) -> bool:
    """Whether ``a`` is nowhere worse than ``b`` and somewhere better."""
    return bool((a <= b).all() and (a < b).any())


def front_indices(losses: Losses) -> NDArray[np.intp]:
    """Rows [N, M] that no other row dominates, in order; of equal rows only the first.

    Takes O(N log N) for one and two columns, O(N * front) for more.
    """
    if len(losses) == 0:
        return np.empty(0, dtype=np.intp)
    if losses.shape[1] <= 2:  # noqa: PLR2004 - a sweep is enough in the plane
        return _sweep(losses)
    # Lexicographic order: a row can only be dominated by one that comes before it.
    left = np.lexsort((np.arange(len(losses)), *losses.T[::-1]))
    kept: list[int] = []
    while len(left):
        kept.append(int(left[0]))
        left = left[(losses[left] < losses[left[0]]).any(axis=1)]
    return np.sort(np.array(kept, dtype=np.intp))


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
        kept = front_indices(merged)
        self.losses, members = merged[kept], all_numbers[kept]
        self.equals = {
            int(number): self.equals.get(int(number), -1) + int((losses == row).all(axis=1).sum())
            for number, row in zip(members, self.losses, strict=True)
        }
        self.numbers = members
