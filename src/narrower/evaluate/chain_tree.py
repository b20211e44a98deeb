"""Plans of a chain as a tree: what agrees up to a layer shares a branch."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch
from torch import Tensor

from narrower.evaluate.chain import Option
from narrower.plan.formats.number_format import NumberFormat


@dataclass(frozen=True, slots=True)
class Group:
    """Plans that agree before a layer and have equally many options [G] for each of their data formats [D].

    ``matrices`` [G * O, K + 1] are the stacked operands of each data format; ``bias`` [D, 1, G, O, 1] is what
    is added to their sums. The plans go on in ``branches`` (D * G of them), or end here as ``plans`` [D * G].
    """

    formats: tuple[NumberFormat, ...]
    matrices: tuple[Tensor, ...]
    bias: Tensor | None
    count: int
    branches: tuple["Branch", ...]
    plans: Tensor | None


Branch = tuple[Group, ...]
Rows = tuple[int, int, int]  # an option's rank, and the first and the last of the sorted plans that have it


def grow(plans: Sequence[tuple[Option, ...]], widest: Sequence[int]) -> Branch:
    """Arrange plans, given by their options at each layer.

    ``widest`` is how many options of each layer may go through it together.
    """
    return _line(plans[0]) if len(plans) == 1 else _Tree(plans, widest).branch(0, len(plans), 0)


def _line(options: tuple[Option, ...]) -> Branch:
    """The tree of one plan."""
    branch: Branch = ()
    for option in reversed(options):
        group = Group(
            formats=(option.data,),
            matrices=(option.matrix,),
            bias=None if option.bias is None else option.bias.view(1, 1, 1, -1, 1),
            count=1,
            branches=(branch,) if branch else (),
            plans=None if branch else torch.zeros(1, dtype=torch.int64),
        )
        branch = (group,)
    return branch


class _Tree:
    def __init__(self, plans: Sequence[tuple[Option, ...]], widest: Sequence[int]) -> None:
        self._widest = widest
        known = {id(option): option for options in plans for option in options}
        by_format: dict[NumberFormat, list[Option]] = {}
        for option in known.values():
            by_format.setdefault(option.data, []).append(option)
        self._options = [option for alike in by_format.values() for option in alike]
        ranks = {id(option): rank for rank, option in enumerate(self._options)}
        keys = np.array([[ranks[id(option)] for option in options] for options in plans])
        self._order = np.lexsort(keys.T[::-1])
        self._keys = keys[self._order]
        self._last = keys.shape[1] - 1
        self._stacked: dict[tuple[int, ...], Tensor] = {}

    def branch(self, start: int, stop: int, depth: int) -> Branch:
        widest = self._widest[depth]
        bundles = [
            alike[first : first + widest]
            for alike in self._by_format(self._choices(start, stop, depth))
            for first in range(0, len(alike), widest)
        ]
        groups: list[Group] = []
        for count, equal in groupby(bundles, key=len):
            together, listed = max(1, widest // count), list(equal)
            groups.extend(
                self._group(listed[first : first + together], depth)
                for first in range(0, len(listed), together)
            )
        return tuple(groups)

    def _choices(self, start: int, stop: int, depth: int) -> list[Rows]:
        column = self._keys[start:stop, depth]
        edges = [0, *(np.flatnonzero(column[1:] != column[:-1]) + 1).tolist(), stop - start]
        ranks = column[edges[:-1]].tolist()
        return [(rank, start + a, start + b) for rank, a, b in zip(ranks, edges, edges[1:], strict=False)]

    def _by_format(self, choices: list[Rows]) -> list[list[Rows]]:
        return [list(alike) for _, alike in groupby(choices, key=lambda rows: self._options[rows[0]].data)]

    def _group(self, bundles: list[list[Rows]], depth: int) -> Group:
        choices = [rows for bundle in bundles for rows in bundle]
        ends = depth == self._last
        return Group(
            formats=tuple(self._options[bundle[0][0]].data for bundle in bundles),
            matrices=tuple(self._stack(tuple(rank for rank, _, _ in bundle)) for bundle in bundles),
            bias=self._bias(bundles),
            count=len(bundles[0]),
            branches=() if ends else tuple(self.branch(a, b, depth + 1) for _, a, b in choices),
            plans=torch.from_numpy(self._order[[a for _, a, _ in choices]]) if ends else None,
        )

    def _stack(self, ranks: tuple[int, ...]) -> Tensor:
        if ranks not in self._stacked:
            self._stacked[ranks] = torch.cat([self._options[rank].matrix for rank in ranks])
        return self._stacked[ranks]

    def _bias(self, bundles: list[list[Rows]]) -> Tensor | None:
        biases = [self._options[rank].bias for bundle in bundles for rank, _, _ in bundle]
        if all(bias is None for bias in biases):
            return None
        outputs = len(self._options[bundles[0][0][0]].matrix)
        zero = torch.zeros(outputs)
        stacked = torch.stack([zero if bias is None else bias for bias in biases])
        return stacked.view(len(bundles), 1, -1, outputs, 1)
