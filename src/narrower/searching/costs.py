"""What the plans of a space cost, many at a time."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from math import prod
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from narrower.cost.network_cost import NetworkCost
from narrower.searching.objective import Constraint
from narrower.searching.space import Options, Space

MOST_NETWORKS = 4096  # resized networks whose costs are remembered


class SpaceCosts(Protocol):
    """Exact costs of the plans of a space."""

    def of(self, assignments: Sequence[Options]) -> dict[str, NDArray[Any]]:
        """Every cost metric of [N] assignments, as arrays [N]."""

    def tables(self, metric: str) -> list[NDArray[np.int64]] | None:
        """What each group of options that cost the same adds to the total that decides a metric, by slot.

        None where there is no such total.
        """

    def ranges(self) -> dict[str, tuple[float, float]]:
        """Smallest and largest value of every cost over the whole space."""


class FormatCosts:
    """Costs by table look-up: each total is a sum over slots of what the slot's option contributes.

    Widths are left aside: they are those of the network that ``cost`` belongs to.
    """

    def __init__(self, space: Space, cost: NetworkCost) -> None:
        self._cost = cost
        first: Options = tuple(0 for _ in space.slots)
        base = cost.totals(space.plan(first).formats)
        self._base = base
        self._tables: dict[str, list[NDArray[np.int64]]] = {name: [] for name in base}
        self._groups = [slot.group_of for slot in space.slots]
        for position, slot in enumerate(space.slots):
            examples = slot.examples
            if not any(plan.is_quantized for option in examples for _, plan in slot.fragment(option)):
                totals = [base] * len(examples)
            else:
                totals = [
                    cost.totals(space.plan((*first[:position], option, *first[position + 1 :])).formats)
                    for option in examples
                ]
            for name, tables in self._tables.items():
                tables.append(np.array([total[name] - base[name] for total in totals], dtype=np.int64))

    def of(self, assignments: Sequence[Options]) -> dict[str, NDArray[Any]]:
        """Every cost metric of [N] assignments, as arrays [N]."""
        options = np.array(assignments, dtype=np.int64).reshape(len(assignments), -1)
        groups = [group_of(options[:, position]) for position, group_of in enumerate(self._groups)]
        totals = {
            name: self._base[name]
            + sum(
                (table[own] for table, own in zip(tables, groups, strict=True)),
                start=np.zeros(len(options), dtype=np.int64),
            )
            for name, tables in self._tables.items()
        }
        return self._cost.metrics(totals)

    def tables(self, metric: str) -> list[NDArray[np.int64]] | None:
        """What each group of options adds to the total that decides a metric, by slot; None without one."""
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


class ResizedCosts:
    """Costs of a space of widths: a table look-up in the costs of each resized network.

    ``network_cost`` gives the costs of the network with these widths, from its picture: no model is built.
    """

    def __init__(self, space: Space, network_cost: Callable[[Mapping[str, float]], NetworkCost]) -> None:
        self._space, self._network_cost = space, network_cost
        self._wide = [
            position
            for position, slot in enumerate(space.slots)
            if any(plan.width != 1.0 for option in slot.examples for _, plan in slot.fragment(option))
        ]
        self._known: OrderedDict[Options, FormatCosts] = OrderedDict()

    def of(self, assignments: Sequence[Options]) -> dict[str, NDArray[Any]]:
        """Every cost metric of [N] assignments, as arrays [N]."""
        rows: dict[Options, list[int]] = {}
        for row, options in enumerate(assignments):
            rows.setdefault(tuple([options[position] for position in self._wide]), []).append(row)
        found: dict[str, NDArray[Any]] = {}
        for chosen, some in rows.items():
            costs = self._costs(chosen).of([assignments[row] for row in some])
            for name, values in costs.items():
                column = found.setdefault(name, np.empty(len(assignments), dtype=values.dtype))
                column[some] = values
        return found or self._costs(tuple(0 for _ in self._wide)).of(assignments)

    def tables(self, metric: str) -> None:
        """None: the cost of a layer depends on its own width and on that of the layers before it."""

    def ranges(self) -> dict[str, tuple[float, float]]:
        """Smallest and largest value of every cost over the whole space.

        In spaces with more widths than can be looked at, the mean width of the weights is bounded by its
        smallest and largest option.
        """
        sizes = [self._space.counts[position] for position in self._wide]
        if prod(sizes) <= MOST_NETWORKS:
            return _hull([self._costs(chosen).ranges() for chosen in product(*map(range, sizes))])
        ranges = _hull(
            [self._costs(tuple(self._end(pick, p) for p in self._wide)).ranges() for pick in (min, max)]
        )
        weights = [
            plan.weight.bits
            for slot in self._space.slots
            for option in slot.examples
            for _, plan in slot.fragment(option)
        ]
        low, high = float(min(weights, default=32)), float(max([*weights, 32]))
        return ranges | {"average_bitwidth": (low, high), "memory_density": (32 / high, 32 / low)}

    def _end(self, pick: Callable[..., int], position: int) -> int:
        """The narrowest or widest option of a slot."""
        slot = self._space.slots[position]
        width = lambda option: max((plan.width for _, plan in slot.fragment(option)), default=1.0)  # noqa: E731
        return pick(range(slot.count), key=width)

    def _costs(self, chosen: Options) -> FormatCosts:
        known = self._known.get(chosen)
        if known is None:
            options = [0] * len(self._space.slots)
            for position, option in zip(self._wide, chosen, strict=True):
                options[position] = option
            widths = self._space.plan(tuple(options)).widths
            known = self._known[chosen] = FormatCosts(self._space, self._network_cost(widths))
            while len(self._known) > MOST_NETWORKS:
                self._known.popitem(last=False)
        self._known.move_to_end(chosen)
        return known


def _hull(ranges: Sequence[dict[str, tuple[float, float]]]) -> dict[str, tuple[float, float]]:
    return {
        name: (min(own[name][0] for own in ranges), max(own[name][1] for own in ranges)) for name in ranges[0]
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
