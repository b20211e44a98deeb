"""Which plans are scored side by side: those that agree in their first layers share most of the work."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

from narrower.plan.plan import UNCHANGED, LayerPlan, Plan

T = TypeVar("T")


def shared_order(plans: Sequence[Plan], layers: Sequence[str]) -> list[int]:
    """Positions of plans, with those that agree in their first layers next to each other."""
    if not layers:  # nothing is shared
        return list(range(len(plans)))
    ranks: dict[LayerPlan, int] = {}

    def key(position: int) -> tuple[int, ...]:
        chosen = dict(plans[position].layers)
        return tuple([ranks.setdefault(chosen.get(layer, UNCHANGED), len(ranks)) for layer in layers])

    return sorted(range(len(plans)), key=key)


def shares(items: Sequence[T], count: int) -> list[Sequence[T]]:
    """``count`` pieces of about equal length, one after the other; some are empty where items are few."""
    edges = [round(number * len(items) / count) for number in range(count + 1)]
    return [items[start:stop] for start, stop in pairwise(edges)]
