"""A tree-structured Parzen estimator's density over positions of choices, from tables.

Each trial is a kernel: a product of normal distributions around its positions, cut off at the ends of each
choice and summed over the whole numbers (Bergstra et al. 2011; Watanabe 2023). Optuna computes each kernel at
each candidate. But positions are few whole numbers and almost all kernels have the smallest width, so that a
table for each choice holds all that there is; only the kernels at the edge of a run of equal positions are
wider, as far as the next position.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray

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

    def frequencies(self, places: Positions) -> Positions:
        """How many of the trials at places [groups, N] have each position: [choices, positions]."""
        found = np.zeros((len(self.counts), max(self.counts)), dtype=np.int64)
        for group, own in zip(self.groups, places, strict=True):
            shape = tuple(self.counts[choice] for choice in group)
            together = np.bincount(own, minlength=prod(shape)).reshape(shape)
            for axis, choice in enumerate(group):
                others = tuple(other for other in range(len(group)) if other != axis)
                found[choice, : shape[axis]] = together.sum(axis=others)
        return found


class Mixture:
    """The density of trials at ``columns`` [choices, N] (positions) and ``places`` [groups, N].

    The weights [N + 1] are those of the trials and of a wide kernel in the middle.
    """

    def __init__(self, codes: Codes, columns: Rows, places: Positions, weights: Rows) -> None:
        self._codes, self._columns, self._places = codes, columns, places
        self.weights = weights
        self._trials = columns.shape[1]
        self._forms = _forms(codes.counts, min(MOST_KERNELS, self._trials + 2.0))
        choices, trials, widths = _widths(
            codes.counts, np.argsort(columns, axis=1), codes.frequencies(places), self._forms.smallest
        )
        self._wider = np.unique(trials)
        self._wider_forms = self._forms.around(columns[:, self._wider])
        self._wider_forms[np.searchsorted(self._wider, trials), choices] = [
            self._forms.number(codes.counts[choice], mean, width)
            for choice, mean, width in zip(
                choices.tolist(), columns[choices, trials].tolist(), widths.tolist(), strict=True
            )
        ]
        self._centre = [self._forms.number(count, (count - 1) / 2, float(count)) for count in codes.counts]

    def positions_of(self, kernels: NDArray[np.intp], quantiles: Rows) -> tuple[Positions, bool]:
        """What kernels [K] give at quantiles [choices, K]; and whether rounding might decide otherwise."""
        is_centre = kernels == self._trials
        trials = np.where(is_centre, 0, kernels)
        forms = self._forms.around(self._columns[:, trials])
        if len(self._wider):
            near = np.minimum(np.searchsorted(self._wider, trials), len(self._wider) - 1)
            forms = np.where((self._wider[near] == trials)[:, None], self._wider_forms[near], forms)
        forms[is_centre] = self._centre
        distances = quantiles.T[:, :, None] - self._forms.limits[forms]
        found: Positions = (distances > 0).sum(axis=2)
        return found, bool((np.abs(distances) < TOO_CLOSE).any())

    def logarithm(self, candidates: Positions) -> Rows:
        """The logarithm of the density at candidates [C, choices]; NaN where it is too small for this way.

        Kernels are products of table entries, each as a share of the largest that its table has for the
        candidate. What is lost when such a product becomes zero is nothing beside the wide kernel.
        """
        largest = self._forms.peaks[np.arange(len(self._codes.counts)), candidates].sum(axis=1)
        weights = self.weights[:-1].copy()
        weights[self._wider] = 0.0
        total = self.weights[self._wider] @ np.exp(self._at(self._wider_forms, candidates) - largest)
        shared = [self._table(group, candidates) for group in self._codes.groups]
        for start in range(0, self._trials, BLOCK):
            places = self._places[:, start : start + BLOCK]
            shares = shared[0].take(places[0], axis=0)
            for own, table in zip(places[1:], shared[1:], strict=True):
                shares *= table.take(own, axis=0)
            total += weights[start : start + BLOCK] @ shares
        centre = self._at(np.array([self._centre]), candidates)[0]
        total += self.weights[-1] * np.exp(centre - largest)
        total[total < SMALLEST_TOTAL] = np.nan
        logarithm: Rows = np.log(total) + largest
        return logarithm

    def _at(self, forms: Positions, candidates: Positions) -> Rows:
        """Logarithms of kernels with forms [K, choices] at candidates [C, choices]: [K, C]."""
        masses = self._forms.masses
        entries = forms[:, None] * masses.shape[1] + candidates
        logarithms: Rows = masses.reshape(-1).take(entries).sum(axis=2)
        return logarithms

    def _table(self, group: tuple[int, ...], candidates: Positions) -> Rows:
        """For all positions of some choices together, their share of the largest mass at each candidate."""
        shares: Rows = np.ones((1, len(candidates)))
        for choice in group:
            own = self._forms.shares[self._codes.counts[choice]].take(candidates[:, choice], axis=1)
            shares = (shares[:, None] * own).reshape(-1, len(candidates))
        return shares


class _Forms:
    """The forms of kernels: how many positions there are, around which, how wide; numbered as they come up.

    ``masses`` [forms, positions] are their logarithms at all positions, ``limits`` the quantiles between
    these. For kernels of the smallest widths [choices], ``peaks`` [choices, positions] are the largest
    logarithms at a position, and ``shares``, by the number of positions, what each kernel has of it.
    """

    def __init__(self, counts: tuple[int, ...], divisor: float) -> None:
        most = max(counts)
        self.smallest: Rows = np.array(counts) / divisor
        self.masses: Rows = np.full((64, most), -np.inf)
        self.limits: Rows = np.full((64, most - 1), np.inf)
        self.peaks: Rows = np.zeros((len(counts), most))
        self.shares: dict[int, Rows] = {}
        self._numbers: dict[tuple[int, float, float], int] = {}
        first = {}
        for count in dict.fromkeys(counts):
            numbers = [self.number(count, float(mean), count / divisor) for mean in range(count)]
            first[count] = numbers[0]
            table = self.masses[numbers, :count]
            self.shares[count] = np.exp(table - table.max(axis=0))
            self.peaks[np.array(counts) == count, :count] = table.max(axis=0)
        self._first = np.array([first[count] for count in counts])

    def around(self, columns: Rows) -> Positions:
        """The numbers [K, choices] of the narrowest forms around positions [choices, K]."""
        numbers: Positions = self._first + columns.T.astype(np.int64)
        return numbers

    def number(self, count: int, mean: float, width: float) -> int:
        """The number of one form."""
        found = self._numbers.get((count, mean, width))
        if found is None:
            found = self._numbers[count, mean, width] = len(self._numbers)
            if found == len(self.masses):
                self.masses = np.concatenate([self.masses, np.full_like(self.masses, -np.inf)])
                self.limits = np.concatenate([self.limits, np.full_like(self.limits, np.inf)])
            masses, limits = _kernel(count, mean, width)
            self.masses[found, :count], self.limits[found, : count - 1] = masses, limits
        return found


@lru_cache(maxsize=4)
def _forms(counts: tuple[int, ...], divisor: float) -> _Forms:
    return _Forms(counts, divisor)


def _widths(
    counts: tuple[int, ...], order: NDArray[np.intp], frequencies: Positions, smallest: Rows
) -> tuple[Positions, Positions, Rows]:
    """The kernels that are wider than the smallest: their choices, trials and widths.

    In the order [choices, N] of positions a kernel reaches to its farther neighbour; the first and the last
    to the only one that they have, and a single one to the farther end.
    """
    choices, values = np.nonzero(frequencies)
    if order.shape[1] == 1:
        ends = np.array(counts)
        return (
            choices,
            np.zeros_like(choices),
            np.minimum(np.maximum(values + 0.5, ends - 0.5 - values), ends),
        )
    is_first = np.append(True, choices[1:] != choices[:-1])[: len(choices)]
    gaps = np.where(is_first, 0, np.diff(values, prepend=0)).astype(np.float64)
    following = np.append(gaps[1:], 0.0)[: len(choices)]
    ends = np.cumsum(frequencies, axis=1)[choices, values]
    starts = ends - frequencies[choices, values]
    is_alone = ends == starts + 1
    gaps[is_alone] = np.maximum(gaps, following)[is_alone]
    following[is_alone] = 0.0
    choices = np.concatenate([choices, choices])
    widths = np.concatenate([gaps, following])
    trials = order[choices, np.concatenate([starts, ends - 1])]
    is_wider = widths > smallest[choices]
    return choices[is_wider], trials[is_wider], widths[is_wider]


@lru_cache(maxsize=4096)
def _kernel(count: int, mean: float, width: float) -> tuple[Rows, Rows]:
    """The logarithms of the masses of a kernel at all positions, and the quantiles between them."""
    edges: Rows = (np.arange(count + 1, dtype=np.float64) - 0.5 - mean) / width
    masses = _log_mass(edges[:-1], edges[1:]) - _log_mass(edges[:1], edges[-1:])
    return masses, np.cumsum(np.exp(masses))[:-1]


def _log_mass(low: Rows, high: Rows) -> Rows:
    """The logarithm of what a standard normal distribution has between two limits, from the nearer tail."""
    is_right = low > 0
    low, high = np.where(is_right, -high, low), np.where(is_right, -low, high)
    below, above = torch.from_numpy(low), torch.from_numpy(high)  # SciPy's functions take longer to import
    smaller, larger = torch.special.log_ndtr(below).numpy(), torch.special.log_ndtr(above).numpy()
    with np.errstate(divide="ignore", invalid="ignore"):  # of the form that is not taken
        in_tail = larger + np.log1p(-np.exp(smaller - larger))
        around = np.log1p(-torch.special.ndtr(below).numpy() - torch.special.ndtr(-above).numpy())
    masses: Rows = np.where(high <= 0, in_tail, around)
    return masses
