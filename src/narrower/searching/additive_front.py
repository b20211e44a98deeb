"""The exact front where losses and costs of a plan are sums of what its choices add."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST_STATES = 20_000  # partial plans that are kept; more are thinned out on a grid


@dataclass(frozen=True, slots=True)
class AdditiveFront:
    """``plans`` [F, slots] are options, in the order of ``costs`` [F]; ``losses`` [F] fall with them.

    ``is_exact`` tells whether no other plan has a lower sum of losses at the same or a lower cost. Where it
    is false, partial plans whose costs fell between the same two marks of a grid of 20,000 were thought
    equal.
    """

    plans: NDArray[np.int64]
    losses: NDArray[np.float64]
    costs: NDArray[np.int64]
    is_exact: bool


def additive_front(
    losses: Sequence[NDArray[np.float64]], costs: Sequence[NDArray[np.int64]]
) -> AdditiveFront:
    """The plans whose summed losses and costs no other plan beats in both, one for each such pair.

    ``losses[s]`` and ``costs[s]`` [options] are what each option of slot s adds. Dominance dynamic
    programming (Nemhauser and Ullmann, 1969): of the partial plans over the first slots only those on their
    own front can become part of the whole front, since what is added later is the same for all.
    """
    state_losses, state_costs = np.zeros(1), np.zeros(1, dtype=np.int64)
    history: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    is_exact = True
    for added_losses, added_costs in zip(losses, costs, strict=True):
        all_losses = (state_losses[:, None] + added_losses[None]).ravel()
        all_costs = (state_costs[:, None] + added_costs[None]).ravel()
        kept = sweep(all_losses, all_costs)
        if len(kept) > MOST_STATES:
            kept, is_exact = _thinned(all_costs, kept), False
        history.append((kept // len(added_losses), kept % len(added_losses)))
        state_losses, state_costs = all_losses[kept], all_costs[kept]
    plans = np.empty((len(state_costs), len(history)), dtype=np.int64)
    rows = np.arange(len(state_costs))
    for slot in reversed(range(len(history))):
        parents, options = history[slot]
        plans[:, slot] = options[rows]
        rows = parents[rows]
    return AdditiveFront(plans, state_losses, state_costs, is_exact)


def sweep(losses: NDArray[np.float64], costs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Positions of the front, by rising cost; of equal pairs the first."""
    order = np.lexsort((losses, costs))
    sorted_losses = losses[order]
    best_before = np.minimum.accumulate(np.concatenate([[np.inf], sorted_losses[:-1]]))
    front: NDArray[np.int64] = order[sorted_losses < best_before]
    return front


def _thinned(costs: NDArray[np.int64], kept: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of neighbours between two marks of a grid the one with the lowest loss, which is the dearest."""
    low, high = costs[kept[0]], costs[kept[-1]]
    cells = (costs[kept] - low) * MOST_STATES // (high - low + 1)
    is_last = np.append(cells[1:] != cells[:-1], True)
    is_last[0] = True
    thinned: NDArray[np.int64] = kept[is_last]
    return thinned
