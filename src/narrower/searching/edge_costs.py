"""What plans of a space with edges cost: a product costs by its weights and by the edges that it reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrower.cost.network_cost import NetworkCost
from narrower.plan.plan import Plan
from narrower.searching.space import Options, Slot, Space, merged

Totals = Mapping[str, NDArray[np.int64]]
MOST_LISTED = 2**17  # combinations of what a layer's costs depend on that are listed


@dataclass(frozen=True)
class _Share:
    """What one layer adds to each total, for all combinations of the groups of the slots that decide it."""

    slots: tuple[int, ...]
    totals: Totals


class EdgeCosts:
    """Costs by table look-up: each total is a sum over layers, each a function of few slots."""

    def __init__(self, space: Space, cost: NetworkCost) -> None:
        self._space, self._cost = space, cost
        self._zero = cost.totals(Plan())

    @cached_property
    def _shares(self) -> tuple[_Share, ...]:
        network, edges = self._cost.network, self._cost.edges
        touching: dict[str, set[int]] = {}
        for position, slot in enumerate(self._space.slots):
            for name in slot.layers:
                touching.setdefault(name, set()).add(position)
        shares = []
        for layer, operators in network.rounded_layers.items():
            read = {name for operator in operators for name in edges.read_by(operator)}
            read |= {name for operator in operators for name in edges.inside(operator)}
            slots = sorted(set().union(*(touching.get(name, set()) for name in (layer, *read))))
            if slots:
                shares.append(self._share(layer, slots))
        return tuple(shares)

    def _share(self, layer: str, slots: Sequence[int]) -> _Share:
        """The totals less those of float32; what other layers have in these slots is left aside."""
        chosen = [self._space.slots[position] for position in slots]
        count = prod(len(slot.examples) for slot in chosen)
        assert count <= MOST_LISTED
        found: dict[str, list[int]] = {name: [] for name in self._zero}
        for places in np.ndindex(*(len(slot.examples) for slot in chosen)):
            totals = self._cost.layer_totals(layer, _plan(chosen, places))
            for name, value in totals.items():
                found[name].append(value)
        unchanged = self._cost.layer_totals(layer, Plan())
        return _Share(
            tuple(slots),
            {name: np.array(values, np.int64) - unchanged[name] for name, values in found.items()},
        )

    def of(self, assignments: Sequence[Options]) -> dict[str, NDArray[Any]]:
        """Every cost metric of [N] assignments, as arrays [N]."""
        options = np.array(assignments, dtype=np.int64).reshape(len(assignments), -1)
        slots = self._space.slots
        groups = [slot.group_of(options[:, position]) for position, slot in enumerate(slots)]
        totals = {name: np.full(len(options), value, np.int64) for name, value in self._zero.items()}
        for share in self._shares:
            sizes = [len(slots[position].examples) for position in share.slots]
            index = np.ravel_multi_index([groups[position] for position in share.slots], sizes)
            for name, table in share.totals.items():
                totals[name] += table[index]
        return self._cost.metrics(totals)

    def tables(self, _metric: str) -> None:
        """None: what a product costs is no sum of what its weights and its edge add."""

    def ranges(self) -> dict[str, tuple[float, float]]:
        """Smallest and largest value of every cost over the whole space.

        Each total rises with the bits of every slot, whatever the others have.
        """
        ends: list[dict[str, Any]] = []
        for pick in (min, max):
            first = [0] * len(self._space.slots)
            whole: dict[str, int] = {}
            for name in self._zero:
                best = list(first)
                for position, slot in enumerate(self._space.slots):
                    tried = {}
                    for option in slot.examples:
                        options = (*first[:position], option, *first[position + 1 :])
                        tried[option] = self._totals(options)[name]
                    best[position] = pick(tried, key=tried.__getitem__)
                whole[name] = self._totals(tuple(best))[name]
            ends.append(self._cost.metrics({name: np.array([value]) for name, value in whole.items()}))
        low, high = ends
        return {
            name: (float(min(low[name][0], high[name][0])), float(max(low[name][0], high[name][0])))
            for name in low
        }

    def _totals(self, options: Options) -> dict[str, int]:
        found = dict(self._zero)
        slots = self._space.slots
        for share in self._shares:
            sizes = [len(slots[position].examples) for position in share.slots]
            places = [int(slots[p].group_of(np.array([options[p]]))[0]) for p in share.slots]
            index = int(np.ravel_multi_index(places, sizes))
            for name, table in share.totals.items():
                found[name] += int(table[index])
        return found


def _plan(slots: Sequence[Slot], places: Sequence[int]) -> Plan:
    """The part of a plan that one option of each group gives."""
    chosen = zip(slots, places, strict=True)
    return Plan(merged(slot.fragment(slot.examples[place]) for slot, place in chosen)).formats
