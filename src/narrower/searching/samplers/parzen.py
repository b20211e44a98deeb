"""A tree-structured Parzen estimator's density over positions of choices, from tables.

Each trial is a kernel: a product of normal distributions around its positions, cut off at the ends of each
choice and summed over the whole numbers (Bergstra et al. 2011; Watanabe 2023). Optuna computes each kernel at
each candidate. But positions are few whole numbers and almost all kernels have the smallest width, so that a
table for each choice holds all that there is; only the kernels at the edge of a run of equal positions are
wider, as far as the next position.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtr

Rows = NDArray[np.float64]
Positions = NDArray[np.int64]

MOST_KERNELS = 100.0  # that narrow the kernels further
TABLE = 256  # entries of a table for several choices together
BLOCK = 1024  # kernels at a time: as many as fit a processor's cache
SMALLEST_TOTAL = 1e-280  # beside which what became zero could count
TOO_CLOSE = 1e-6  # of a probability to a limit between two positions


@dataclass(frozen=True, slots=True)
class Codes:
    """Which choices share a table, and the place of a trial's positions in it."""

    counts: tuple[int, ...]
    groups: tuple[tuple[int, ...], ...]

    @staticmethod
    def of(counts: tuple[int, ...]) -> "Codes":
        """Neighbouring choices share a table while it stays small."""
        groups: list[list[int]] = []
        size = TABLE + 1
        for choice, count in enumerate(counts):
            size *= count
            if size > TABLE:
                groups.append([])
                size = count
            groups[-1].append(choice)
        return Codes(counts, tuple(map(tuple, groups)))

    def places(self, positions: tuple[int, ...]) -> list[int]:
        """The place in the table of each group."""
        found = []
        for group in self.groups:
            place = 0
            for choice in group:
                place = place * self.counts[choice] + positions[choice]
            found.append(place)
        return found


class Mixture:
    """The density of some trials, of which ``positions`` [N, choices] and ``places`` [N, groups] are given.

    The weights [N + 1] are those of the trials and of a wide kernel in the middle.
    """

    def __init__(self, codes: Codes, positions: Positions, places: Positions, weights: Rows) -> None:
        self._codes, self._positions, self._places = codes, positions, places
        self.weights = weights
        kernels = len(positions)
        order = np.argsort(np.ascontiguousarray(positions.T, dtype=np.float64), axis=1)
        self._smallest = [count / min(MOST_KERNELS, kernels + 2.0) for count in codes.counts]
        self._wide = [
            _wide_kernels(count, order[choice], np.bincount(positions[:, choice], minlength=count), smallest)
            for choice, (count, smallest) in enumerate(zip(codes.counts, self._smallest, strict=True))
        ]

    def positions_of(self, kernels: NDArray[np.intp], quantiles: Rows) -> tuple[Positions, bool]:
        """What kernels [K] give at quantiles [choices, K]; and whether rounding might decide otherwise."""
        found = np.empty((len(kernels), len(self._codes.counts)), dtype=np.int64)
        is_close = False
        centre = len(self._positions)
        is_centre = kernels == centre
        trials = np.where(is_centre, 0, kernels)
        for choice, count in enumerate(self._codes.counts):
            limits = _limits(count, self._smallest[choice])[self._positions[trials, choice]]
            for kernel, width in self._wide[choice].items():
                here = trials == kernel
                if here.any():
                    limits[here] = _kernel(count, float(self._positions[kernel, choice]), width)[1]
            limits[is_centre] = _kernel(count, *_centre(count))[1]
            distance = quantiles[choice, :, None] - limits
            found[:, choice] = (distance > 0).sum(axis=1)
            is_close = is_close or bool((np.abs(distance) < TOO_CLOSE).any())
        return found, is_close

    def logarithm(self, candidates: Positions) -> Rows:
        """The logarithm of the density at candidates [C, choices]; NaN where it is too small for this way.

        Kernels are products of table entries, each as a share of the largest that its table has for the
        candidate. What is lost when such a product becomes zero is nothing beside the wide kernel.
        """
        counts, kernels = self._codes.counts, len(self._positions)
        tables = [
            _masses(count, self._smallest[choice])[:, candidates[:, choice]]
            for choice, count in enumerate(counts)
        ]
        largest = sum(table.max(axis=0) for table in tables)
        wider = sorted({kernel for wide in self._wide for kernel in wide})
        weights = self.weights[:kernels].copy()
        weights[wider] = 0.0
        total = self.weights[wider] @ np.exp(self._widened(wider, tables, candidates) - largest)
        shared = [self._table(group, tables) for group in self._codes.groups]
        for start in range(0, kernels, BLOCK):
            places = self._places[start : start + BLOCK]
            shares = shared[0].take(places[:, 0], axis=0)
            for number, table in enumerate(shared[1:], start=1):
                shares *= table.take(places[:, number], axis=0)
            total += weights[start : start + BLOCK] @ shares
        centre = sum(
            _kernel(count, *_centre(count))[0][candidates[:, choice]] for choice, count in enumerate(counts)
        )
        total += self.weights[kernels] * np.exp(centre - largest)
        total[total < SMALLEST_TOTAL] = np.nan
        logarithm: Rows = np.log(total) + largest
        return logarithm

    @staticmethod
    def _table(group: tuple[int, ...], tables: list[Rows]) -> Rows:
        """For all positions of some choices together, their share of the largest mass at each candidate."""
        candidates = tables[0].shape[1]
        shares: Rows = np.ones((1, candidates))
        for choice in group:
            own = np.exp(tables[choice] - tables[choice].max(axis=0))
            shares = (shares[:, None] * own).reshape(-1, candidates)
        return shares

    def _widened(self, kernels: list[int], tables: list[Rows], candidates: Positions) -> Rows:
        """Logarithms of kernels some of whose widths are not the smallest."""
        positions = self._positions[kernels]
        place = {kernel: place for place, kernel in enumerate(kernels)}
        found = np.zeros((len(kernels), len(candidates)))
        for choice, table in enumerate(tables):
            masses = table[positions[:, choice]]
            for kernel, width in self._wide[choice].items():
                own = _kernel(self._codes.counts[choice], float(self._positions[kernel, choice]), width)[0]
                masses[place[kernel]] = own[candidates[:, choice]]
            found += masses
        return found


def _centre(count: int) -> tuple[float, float]:
    """Where the wide kernel in the middle is, and how wide."""
    return (count - 1) / 2, float(count)


def _wide_kernels(
    count: int, order: NDArray[np.intp], frequencies: Positions, smallest: float
) -> dict[int, float]:
    """The kernels that are wider than the smallest, with their widths.

    In the order of positions a kernel reaches to its farther neighbour; the first and the last to the only
    one that they have, and a single one to the farther end.
    """
    taken = np.flatnonzero(frequencies).tolist()
    if len(order) == 1:
        return {0: min(max(taken[0] + 0.5, count - 0.5 - taken[0]), float(count))}
    found: dict[int, float] = {}
    end = 0
    for number, value in enumerate(taken):
        start, end = end, end + int(frequencies[value])
        left = float(value - taken[number - 1]) if number else 0.0
        right = float(taken[number + 1] - value) if number + 1 < len(taken) else 0.0
        for kernel, gap in ((int(order[start]), left), (int(order[end - 1]), right)):
            width = max(gap, found.get(kernel, 0.0))
            if width > smallest:
                found[kernel] = width
    return found


@lru_cache(maxsize=4096)
def _kernel(count: int, mean: float, width: float) -> tuple[Rows, Rows]:
    """The logarithms of the masses of a kernel at all positions, and the quantiles between them."""
    edges: Rows = (np.arange(count + 1, dtype=np.float64) - 0.5 - mean) / width
    masses = _log_mass(edges[:-1], edges[1:]) - _log_mass(edges[:1], edges[-1:])
    return masses, np.cumsum(np.exp(masses))[:-1]


@lru_cache(maxsize=256)
def _masses(count: int, width: float) -> Rows:
    """Of kernels of a width around each position (rows), the logarithms of their masses."""
    return np.stack([_kernel(count, float(mean), width)[0] for mean in range(count)])


@lru_cache(maxsize=256)
def _limits(count: int, width: float) -> Rows:
    return np.stack([_kernel(count, float(mean), width)[1] for mean in range(count)])


def _log_mass(low: Rows, high: Rows) -> Rows:
    """The logarithm of what a standard normal distribution has between two limits, from the nearer tail."""
    is_right = low > 0
    low, high = np.where(is_right, -high, low), np.where(is_right, -low, high)
    smaller, larger = log_ndtr(low), log_ndtr(high)
    with np.errstate(divide="ignore", invalid="ignore"):  # of the form that is not taken
        in_tail = larger + np.log1p(-np.exp(smaller - larger))
        around = np.log1p(-ndtr(low) - ndtr(-high))
    masses: Rows = np.where(high <= 0, in_tail, around)
    return masses
