"""How sure a metric is that was measured on several trainings: by chance of samples, and of training."""

from math import hypot, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrower.tasks.intervals import (
    CONFIDENCE,
    interval,
    quantiles,
    resampled_each,
    value_of,
    wilson_interval,
)
from narrower.tasks.paired import is_better
from narrower.tasks.task import SampleMetric

Contributions = NDArray[Any]  # of each training and sample: [S, N] or [S, N, K]


def spread(metric: SampleMetric, contributions: Contributions) -> float:
    """The standard deviation of the metric over trainings."""
    return float(np.std([value_of(metric, own) for own in contributions], ddof=1))


def interval_of_trainings(metric: SampleMetric, contributions: Contributions) -> tuple[float, float]:
    """95 % interval of what a plan reaches on the mean of trainings.

    Chance of samples, as for one training, and of training (Student's t) are independent: their squares add
    up. Of one training it is that of its samples.
    """
    if len(contributions) == 1:
        return interval(metric, contributions[0])
    values = [value_of(metric, own) for own in contributions]
    mean = float(np.mean(values))
    if metric.is_share:
        together = np.asarray(contributions, dtype=np.float64).mean(axis=0)
        low, high = wilson_interval(together.sum(), len(together))
    else:
        tail = (1 - CONFIDENCE) / 2
        low, high = quantiles(_resampled_mean(metric, contributions), (tail, 1 - tail))
    chance = _t(len(values) - 1) * spread(metric, contributions) / sqrt(len(values))
    low, high = mean - hypot(mean - low, chance), mean + hypot(high - mean, chance)
    return (max(0.0, low), min(1.0, high)) if metric.is_share else (low, high)


def leads(metric: SampleMetric, own: Contributions, rival: Contributions) -> bool:
    """Whether a plan is better than another at 95 %, with what several trainings of both gave.

    Of one training each, as ``is_better`` says. Otherwise the gain must be larger than chance of the samples,
    which both share, and of the trainings (Welch 1947) together.
    """
    if len(own) == 1 or len(rival) == 1:
        return is_better(metric, own[0], rival[0])
    each, other = ([value_of(metric, one) for one in some] for some in (own, rival))
    gain = metric.sign * (float(np.mean(each)) - float(np.mean(other)))
    squares = [float(np.var(some, ddof=1)) / len(some) for some in (each, other)]
    total = sum(squares)
    from scipy.special import ndtri  # takes long to import

    chance = float(ndtri((1 + CONFIDENCE) / 2)) * _deviation_of_gain(metric, own, rival)
    if total > 0:
        freedom = total**2 / sum(
            square**2 / (len(some) - 1) for square, some in zip(squares, (each, other), strict=True)
        )
        chance = hypot(chance, _t(freedom) * sqrt(total))
    return bool(gain > chance)


def _deviation_of_gain(metric: SampleMetric, own: Contributions, rival: Contributions) -> float:
    """How far the gain of one over the other lies apart over draws of as many samples."""
    if metric.is_share:
        each, other = (np.asarray(some, dtype=np.float64).mean(axis=0) for some in (own, rival))
        return float(np.std(each - other)) / sqrt(len(each))
    return float(np.nanstd(_resampled_mean(metric, own) - _resampled_mean(metric, rival)))


def _resampled_mean(metric: SampleMetric, contributions: Contributions) -> NDArray[np.float64]:
    """The mean of the metric over trainings, for samples that are drawn anew with repetition."""
    draws = np.array(resampled_each([(metric, own) for own in contributions]))
    return np.asarray(draws.mean(axis=0))


def _t(freedom: float) -> float:
    """How many standard errors either side of a mean its 95 % interval reaches."""
    from scipy.special import stdtrit  # takes long to import

    return float(stdtrit(freedom, (1 + CONFIDENCE) / 2))
