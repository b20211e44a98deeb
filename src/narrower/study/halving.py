"""Which plans go on to the next round: the best by non-dominated rank."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from narrower.searching.front import front_indices


def best_by_rank(losses: Sequence[tuple[float, ...]], count: int, at_most: int = 0) -> list[int]:
    """The places of the best ``count``, in their order; of the last rank that is kept those far apart.

    More than ``count``, up to ``at_most``, are kept where as many are dominated by none.
    """
    kept: list[int] = []
    left = list(range(len(losses)))
    table = np.array(losses)
    if count < at_most and left:
        count = max(count, min(len(front_indices(table)), at_most))
    while len(kept) < count:
        rank = [left[int(row)] for row in front_indices(table[left])]
        if len(kept) + len(rank) > count:
            rank = _spread(table, rank, count - len(kept))
        kept += rank
        left = [number for number in left if number not in set(rank)]
    return sorted(kept)


def _spread(table: NDArray[np.float64], rank: list[int], count: int) -> list[int]:
    """The ``count`` with the largest crowding distance (Deb et al., 2002)."""
    rows = table[rank]
    distance = np.zeros(len(rank))
    for column in rows.T:
        order = np.argsort(column, kind="stable")
        reach = column[order[-1]] - column[order[0]]
        distance[order[[0, -1]]] = np.inf
        if reach > 0:
            distance[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / reach
    return [rank[int(place)] for place in np.argsort(-distance, kind="stable")[:count]]
