"""Dimensions as rows of channels: which channels of which tensors are the same thing.

A dimension is a list of factors, outermost first: one where ``[C]`` is one channel after the other, two where
``[C * H]`` holds H values for each channel. A factor either has a label for each of its positions, or none:
it belongs to no group (batch, height, time).
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from narrower.errors import ModelError

Labels = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Factor:
    """``labels`` [size], or None; ``follows``: one number, repeated as often as another tensor needs it."""

    size: int
    labels: Labels | None = None
    follows: bool = False


Dimension = tuple[Factor, ...]
Dimensions = tuple[Dimension, ...]  # of a tensor


class Merger:
    """Labels that turned out to be the same, and those that cannot change, with reasons."""

    def __init__(self) -> None:
        self._parents: list[int] = []
        self._reasons: dict[int, list[str]] = {}

    def new(self, count: int) -> Labels:
        """Labels that were not given before."""
        first = len(self._parents)
        self._parents.extend(range(first, first + count))
        return np.arange(first, first + count)

    def root(self, label: int) -> int:
        """What stands for a label and all that are the same."""
        while self._parents[label] != label:
            self._parents[label] = self._parents[self._parents[label]]
            label = self._parents[label]
        return label

    def roots(self, labels: Labels) -> list[int]:
        """The same for several labels."""
        return [self.root(label) for label in labels.tolist()]

    def same(self, a: Labels, b: Labels) -> None:
        """Two rows of labels are the same, position by position."""
        for first, second in zip(a.tolist(), b.tolist(), strict=True):
            x, y = self.root(first), self.root(second)
            if x != y:
                self._parents[max(x, y)] = min(x, y)
                self._reasons.setdefault(min(x, y), []).extend(self._reasons.pop(max(x, y), []))

    def tied(self, dimension: Dimension, rows: int) -> Labels:
        """The labels in so many rows, the n-th of all rows being the same from now on."""
        grid = flat(dimension).reshape(rows, -1)
        for row in grid[1:]:
            self.same(grid[0], row)
        return grid

    def fix(self, dimension: Dimension, reason: str) -> None:
        """The channels of a dimension cannot change."""
        for factor in dimension:
            for root in dict.fromkeys(self.roots(factor.labels)) if factor.labels is not None else ():
                self._reasons.setdefault(root, []).append(reason)

    def reasons(self, labels: Iterable[int]) -> tuple[str, ...]:
        """Why these labels cannot change; empty where they can."""
        roots = dict.fromkeys(self.root(label) for label in labels)
        return tuple(dict.fromkeys(reason for root in roots for reason in self._reasons.get(root, ())))

    def unite(self, a: Dimension, b: Dimension, reason: str) -> Dimension:
        """Two dimensions of one size are the same; where only one has labels, it cannot change.

        It can where the other one is one number that is repeated.
        """
        if is_labelled(a) != is_labelled(b):
            labelled, other = (a, b) if is_labelled(a) else (b, a)
            if not all(factor.follows for factor in other):
                self.fix(labelled, reason)
            return labelled
        if is_labelled(a):
            self.same(flat(a), flat(b))
        return a


def size_of(dimension: Dimension) -> int:
    """Positions of a dimension."""
    return prod(factor.size for factor in dimension)


def is_labelled(dimension: Dimension) -> bool:
    """Whether any factor has labels."""
    return any(factor.labels is not None for factor in dimension)


def flat(dimension: Dimension) -> Labels:
    """One label for each position of a dimension with one labelled factor.

    Raises:
        ModelError: there are several.
    """
    before, found, after = 1, None, 1
    for factor in dimension:
        if factor.labels is not None and found is not None:
            raise ModelError("two groups of channels in one dimension")
        if factor.labels is not None:
            found = factor.labels
        elif found is None:
            before *= factor.size
        else:
            after *= factor.size
    assert found is not None
    return np.tile(np.repeat(found, after), before)


def regrouped(
    merger: Merger, dimensions: Sequence[Dimension], sizes: Sequence[int], kept: Collection[int] = ()
) -> tuple[Dimensions, set[int]]:
    """The dimensions of a view with these sizes, and the positions after which it cuts a labelled factor.

    A labelled factor that is split keeps its labels on the first of its parts that is not at a position in
    ``kept``, and channels that fall together there are the same from then on (heads move as a whole).

    Raises:
        ModelError: the sizes do not divide each other.
    """
    factors = []
    for dimension in dimensions:
        for factor in dimension:
            if factor.size == 1:
                merger.fix((factor,), "a view drops it, as it is one channel")
            else:
                factors.append(factor)
    result: list[Dimension] = []
    cuts: set[int] = set()
    for position, size in enumerate(sizes):
        own: list[Factor] = []
        left = size
        while left > 1:
            if not factors:
                raise ModelError("a view of another size")
            first = factors.pop(0)
            if left % first.size == 0:
                own.append(first)
                left //= first.size
            elif first.size % left == 0:
                if first.labels is not None:
                    cuts.add(position)
                outer, inner = _split(merger, first, left, position in kept)
                own.append(outer)
                factors.insert(0, inner)
                left = 1
            else:
                raise ModelError(f"a view that cuts {first.size} by {left}")
        result.append(_with_one_row(merger, own))
    return tuple(result), cuts


def _with_one_row(merger: Merger, factors: Sequence[Factor]) -> Dimension:
    """The factors of a dimension; where several have labels, those that cannot change go without."""
    labelled = [factor for factor in factors if factor.labels is not None]
    if len(labelled) < 2:  # noqa: PLR2004
        return tuple(factors)
    return tuple(
        Factor(factor.size) if factor.labels is not None and merger.reasons(factor.labels) else factor
        for factor in factors
    )


def _split(merger: Merger, factor: Factor, outer: int, outer_stays: bool) -> tuple[Factor, Factor]:
    inner = factor.size // outer
    if factor.labels is None:
        return Factor(outer), Factor(inner)
    grid = np.array(merger.roots(factor.labels)).reshape(outer, inner)
    if (grid == grid[:1]).all():  # every outer part holds the same channels
        return Factor(outer), Factor(inner, factor.labels[:inner])
    if outer_stays:
        for row in grid[1:]:
            merger.same(grid[0], row)
        return Factor(outer), Factor(inner, factor.labels[:inner])
    for column in range(1, inner):
        merger.same(grid[:, 0], grid[:, column])
    return Factor(outer, factor.labels[::inner]), Factor(inner)
