"""Metrics that are no function of sums: what every sample contributes is kept, and looked at together."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrower.tasks.task import Direction, OfSamples, SampleMetric

Floats = NDArray[np.float64]
# From what samples contribute [N, K], and how often each counts in each draw [D, N], to the metric [D].
OfAll = Callable[[Floats, Floats], Floats]


def whole_metric(
    name: str,
    description: str,
    contributions: OfSamples,
    of_all: OfAll,
    *,
    direction: Direction = "maximize",
    chance: Callable[[int], float] | None = None,
    draws: int = 1000,
) -> SampleMetric:
    """A metric of all samples together; its "sums" are what they contribute, one after the other."""
    value = partial(_value, of_all)
    return SampleMetric(
        name, description, direction, contributions, value, chance=chance, of_all=of_all, draws=draws
    )


def _value(of_all: OfAll, sums: Sequence[float], samples: int) -> float:
    columns = np.asarray(sums, dtype=np.float64).reshape(samples, -1)
    return float(of_all(columns, np.ones((1, samples)))[0])


def area_under_curve(scores: Floats, labels: Floats, times: Floats) -> Floats:
    """How probable it is that a sample with label 1 scores above one with label 0; half of ties count."""
    positive, negative = _grouped(scores, labels, times)
    below = np.cumsum(negative, axis=1) - negative
    return _ratio((positive * (below + negative / 2)).sum(1), positive.sum(1) * negative.sum(1))


def average_precision(scores: Floats, labels: Floats, times: Floats) -> Floats:
    """The precision at each threshold, weighted by how much recall it adds."""
    positive, negative = (each[:, ::-1] for each in _grouped(scores, labels, times))
    found = np.cumsum(positive, axis=1)
    precision = _ratio(found, found + np.cumsum(negative, axis=1))
    return _ratio(np.nansum(positive * precision, axis=1), positive.sum(1))


def background_rejection(scores: Floats, labels: Floats, times: Floats, efficiency: float = 0.5) -> Floats:
    """1 over the share of samples with label 0 that pass where so many of those with label 1 do.

    Between thresholds the curve is straight; where none passes, one sample counts as if it did.
    """
    positive, negative = (each[:, ::-1] for each in _grouped(scores, labels, times))
    signal = _ratio(np.cumsum(positive, axis=1).T, positive.sum(1)).T
    background = np.cumsum(negative, axis=1)
    passed = [
        np.interp(efficiency, np.r_[0.0, s], np.r_[0.0, b]) for s, b in zip(signal, background, strict=True)
    ]
    return _ratio(negative.sum(1), np.maximum(np.array(passed), 1.0))


def _grouped(scores: Floats, labels: Floats, times: Floats) -> tuple[Floats, Floats]:
    """How many samples with label 1 and 0 have each score [D, scores], from the lowest up."""
    order = np.argsort(scores, kind="stable")
    ordered = scores[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    counted, own = times[:, order], labels[order]
    return np.add.reduceat(counted * own, starts, axis=1), np.add.reduceat(
        counted * (1 - own), starts, axis=1
    )


def _ratio(part: Any, whole: Any) -> Floats:
    """The quotient; NaN, which is no value, where the whole is nothing."""
    whole = np.asarray(whole, dtype=np.float64)
    found: Floats = np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole != 0)
    return found
