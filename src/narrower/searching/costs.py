"""What the plans of a space cost, many at a time."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrower.cost.network_cost import NetworkCost
from narrower.searching.objective import Constraint
from narrower.searching.space import Options, Space


class SpaceCosts:
    """Exact costs by table look-up: each total is a sum over slots of what the slot's option contributes."""

    def __init__(self, space: Space, cost: NetworkCost) -> None:
        self._cost = cost
        first: Options = tuple(0 for _ in space.slots)
        base = cost.totals(space.plan(first))
        self._base = base
        self._tables: dict[str, list[NDArray[np.int64]]] = {name: [] for name in base}
        for position, slot in enumerate(space.slots):
            totals = [
                cost.totals(space.plan((*first[:position], option, *first[position + 1 :])))
                for option in range(len(slot.options))
            ]
            for name, tables in self._tables.items():
                tables.append(np.array([total[name] - base[name] for total in totals], dtype=np.int64))

    def of(self, assignments: Sequence[Options]) -> dict[str, NDArray[Any]]:
        """Every cost metric of [N] assignments, as arrays [N]."""
        options = np.array(assignments, dtype=np.int64).reshape(len(assignments), -1)
        totals = {
            name: self._base[name]
            + sum(
                (table[options[:, position]] for position, table in enumerate(tables)),
                start=np.zeros(len(options), dtype=np.int64),
            )
            for name, tables in self._tables.items()
        }
        return self._cost.metrics(totals)

    def tables(self, metric: str) -> list[NDArray[np.int64]] | None:
        """What each option of each slot adds to the total that decides a metric; None where there is none."""
        total = self._cost.deciding_total(metric)
        return None if total is None else self._tables[total]

    def ranges(self) -> dict[str, tuple[float, float]]:
        """Smallest and largest value of every cost over the whole space."""
        low, high = (
            {
                name: self._base[name] + sum(int(pick(table)) for table in tables)
                for name, tables in self._tables.items()
            }
            for pick in (np.min, np.max)
        )
        at_low, at_high = self._cost.metrics(low), self._cost.metrics(high)
        return {
            name: (float(min(at_low[name], at_high[name])), float(max(at_low[name], at_high[name])))
            for name in at_low
        }


def broken(constraints: Sequence[Constraint], costs: dict[str, NDArray[Any]], count: int) -> list[str | None]:
    """For each of [N] plans, why its cost is not admitted, or None."""
    reasons: list[str | None] = [None] * count
    for constraint in constraints:
        if constraint.metric not in costs:
            continue
        values = costs[constraint.metric]
        for bound, is_broken in (
            (constraint.minimum, np.less),
            (constraint.maximum, np.greater),
        ):
            if bound is not None:
                for index in np.flatnonzero(is_broken(values, bound)):
                    reasons[index] = reasons[index] or constraint.broken_by(float(values[index]))
    return reasons
