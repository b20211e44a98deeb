"""The cheapest integer arithmetic that gives exactly the wanted steps."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

LARGEST_SHIFT = 40
CANDIDATES = 64  # factors that are tried at each shift
SEARCH_STEPS = 100
MOST_CORRECTIONS = 16
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class AffineSteps:
    """``clamp((factor * a + offset) >> shift, low, high)``; None: no bound on that side.

    ``corrections`` (a, difference) are added for single values: where float32's own rounding of the line
    crosses a tie that the line does not.
    """

    factor: int
    offset: int
    shift: int
    low: int | None
    high: int | None
    corrections: tuple[tuple[int, int], ...] = ()

    def __call__(self, a: Integers) -> Integers:
        """The value for each whole number."""
        raw = (self.factor * a + self.offset) >> self.shift
        values = np.clip(raw, self.low, self.high) if (self.low, self.high) != (None, None) else raw
        for at, difference in self.corrections:
            values = values + difference * (a == at)
        return values


def fit_affine(a: Integers, wanted: Integers, low: int | None, high: int | None) -> AffineSteps | None:
    """Find affine steps that equal ``wanted`` [M] at each of ``a`` [M], increasing; None: there are none.

    The shift is the smallest that allows it; of the factors at that shift the one with the fewest non-zero
    digits, and of its offsets the one with the most trailing zeros. Where no line meets every step, up to 16
    single values are corrected. So the result of the float computation is met exactly, ties included, for
    each accumulator that can be reached.
    """
    if (wanted == wanted[0]).all():
        return AffineSteps(0, int(wanted[0]), 0, None, None)
    bounds = _Bounds(a, wanted, low, high)
    best, slopes = bounds.slopes()
    if slopes is None:
        return _corrected(a, wanted, best, bounds, low, high)
    for shift in range(LARGEST_SHIFT + 1):
        found = []
        for factor in _factors(*slopes, shift):
            least, most = bounds.offsets(factor, shift)
            if least <= most:
                found.append((_digits(abs(factor)), abs(factor), factor, _roundest(least, most)))
        if found:
            *_, factor, offset = min(found)
            return AffineSteps(factor, offset, shift, low, high)
    return _corrected(a, wanted, best, bounds, low, high)


def _corrected(
    a: Integers, wanted: Integers, slope: float, bounds: "_Bounds", low: int | None, high: int | None
) -> AffineSteps | None:
    """The line at the best slope with the fewest corrections, none of them larger than one step."""
    chosen: AffineSteps | None = None
    for shift in range(LARGEST_SHIFT + 1):
        factor = round(slope * 2**shift)
        line = AffineSteps(factor, sum(bounds.offsets(factor, shift)) // 2, shift, low, high)
        missed = wanted - line(a)
        at = np.flatnonzero(missed)
        if len(at) <= (MOST_CORRECTIONS if chosen is None else len(chosen.corrections) - 1):
            if np.abs(missed).max() > 1:
                continue
            corrections = tuple((int(a[i]), int(missed[i])) for i in at)
            chosen = replace(line, corrections=corrections)
    return chosen


class _Bounds:
    """The lines ``slope * a + offset`` whose floor is as wanted: ``least <= line < most``.

    A bound that clamping provides is none. Within one step only its ends can bind.
    """

    def __init__(self, a: Integers, wanted: Integers, low: int | None, high: int | None) -> None:
        changes = np.flatnonzero(np.diff(wanted)) + 1
        ends = np.unique(np.concatenate([[0], changes - 1, changes, [len(a) - 1]]))
        a, wanted = a[ends], wanted[ends]
        below = wanted != low if low is not None else np.ones(len(a), bool)
        above = wanted != high if high is not None else np.ones(len(a), bool)
        self._a_least, self._least = a[below], wanted[below]
        self._a_most, self._most = a[above], wanted[above] + 1

    def offsets(self, factor: int, shift: int) -> tuple[int, int]:
        """Smallest and largest whole offset for a factor; the first is the larger where there is none."""
        least = (self._least << shift) - factor * self._a_least
        most = (self._most << shift) - 1 - factor * self._a_most
        return int(least.max()), int(most.min())

    def _room(self, slope: float) -> float:
        """How far the offset can move at a slope; concave."""
        most = (self._most - slope * self._a_most).min()
        return float(most - (self._least - slope * self._a_least).max())

    def slopes(self) -> tuple[float, tuple[float, float] | None]:
        """The slope with the most room, and the range of slopes that leave any."""
        reach = 2.0 * float(max(np.abs(self._most).max(), np.abs(self._least).max())) + 2
        low, high = -reach, reach
        for _ in range(SEARCH_STEPS):  # ternary search: the room is concave in the slope
            third = (high - low) / 3
            if self._room(low + third) < self._room(high - third):
                low += third
            else:
                high -= third
        best = (low + high) / 2
        if self._room(best) <= 0:
            return best, None
        return best, (self._edge(best, -reach), self._edge(best, reach))

    def _edge(self, inside: float, outside: float) -> float:
        for _ in range(SEARCH_STEPS):
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if self._room(middle) > 0 else (inside, middle)
        return inside


def _factors(slow: float, steep: float, shift: int) -> list[int]:
    low, high = int(np.ceil(slow * 2**shift)), int(np.floor(steep * 2**shift))
    if high - low < CANDIDATES:
        return list(range(low, high + 1))
    return sorted({round(x) for x in np.linspace(low, high, CANDIDATES)})


def _digits(number: int) -> int:
    """Non-zero digits of the canonical signed form: one adder for each but the first."""
    return ((3 * number) ^ number).bit_count()


def _roundest(least: int, most: int) -> int:
    """A number between two bounds with as many trailing zeros as there can be."""
    for zeros in range(62, -1, -1):
        candidate = -((-least) >> zeros) << zeros  # the least multiple of 2**zeros from there on
        if least <= candidate <= most:
            return candidate
    return least
