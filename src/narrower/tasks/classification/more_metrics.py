"""Metrics of a classification that are computed only where somebody asks for them."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from narrower.tasks.class_counts import class_counts, f1, over_classes, recall
from narrower.tasks.classification.task import is_right, two_scores
from narrower.tasks.side_by_side import side_by_side
from narrower.tasks.task import SampleMetric
from narrower.tasks.whole_metrics import (
    Floats,
    OfAll,
    area_under_curve,
    average_precision,
    background_rejection,
    whole_metric,
)

if TYPE_CHECKING:
    from torch import Tensor

TOP = 5
BINS = 15  # of confidence, of equal width (Guo et al. 2017)
TWO = 2


def _counts(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    scores = two_scores(outputs)
    return class_counts(scores.argmax(dim=1)[:, None], targets[:, None], scores.shape[1])


def _in_top(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    """Whether fewer than five classes have a higher score."""
    scores = two_scores(outputs)
    own = scores.gather(1, targets[:, None])
    return (scores > own).sum(dim=1) < TOP


def _confidences(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    """For each sample and bin: how sure it is of its class, and whether it is right, [N, 2 * bins]."""
    sure = two_scores(outputs).double().softmax(dim=1).amax(dim=1)
    bins = (sure * BINS).long().clamp(max=BINS - 1)[:, None]
    filled: Tensor = sure.new_zeros(len(sure), 2, BINS)
    filled[:, 0].scatter_(1, bins, sure[:, None])
    filled[:, 1].scatter_(1, bins, is_right(outputs, targets).double()[:, None])
    return filled.flatten(1)


def _gaps(sums: Sequence[float], samples: int) -> float:
    """By how much the share of right samples misses the confidence, bin by bin."""
    return sum(abs(sure - right) for sure, right in zip(sums[:BINS], sums[BINS:], strict=True)) / samples


def _likelihoods(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    """The log-odds of each class of each sample, and behind them its class, [N, classes + 1]."""
    scores = two_scores(outputs)
    if scores.shape[1] == TWO:  # without the rounding that would break ties
        odds = scores[:, 1] - scores[:, 0]
        return side_by_side(-odds, odds, targets)
    logarithms = scores.double().log_softmax(dim=1)
    return side_by_side(logarithms - (-logarithms.expm1()).log(), targets)


def _one_against_all(of_two: Any, columns: Floats, times: Floats) -> Floats:
    """What a metric of two classes says, on average over classes; of two classes, of the second."""
    scores, targets = columns[:, :-1], columns[:, -1]
    classes = [1] if scores.shape[1] == TWO else range(scores.shape[1])
    there = [number for number in classes if (targets == number).any()]
    if not there:
        return np.full(len(times), np.nan)
    found: Floats = np.mean(
        [of_two(scores[:, k], (targets == k).astype(float), times) for k in there], axis=0
    )
    return found


def _against_all(name: str, description: str, of_two: OfAll | Any, chance: float | None) -> SampleMetric:
    return whole_metric(
        name,
        f"{description}, each class against all others, on average (of two classes the second)",
        _likelihoods,
        partial(_one_against_all, of_two),
        chance=None if chance is None else lambda _classes: chance,
    )


MORE_OF_CLASSIFICATION = (
    SampleMetric(
        "balanced_accuracy",
        "share of samples that are right, on average over classes",
        "maximize",
        _counts,
        over_classes(recall),
        chance=lambda classes: 1 / classes,
    ),
    SampleMetric("macro_f1", "F1, on average over classes", "maximize", _counts, over_classes(f1)),
    _against_all("auc", "area under the ROC curve", area_under_curve, 0.5),
    _against_all("average_precision", "average precision", average_precision, None),
    _against_all(
        "background_rejection",
        "1 / share of other samples that pass where half of a class do",
        background_rejection,
        2.0,
    ),
    SampleMetric(
        "top_5",
        "share of samples whose class is among the five highest scores",
        "maximize",
        _in_top,
        is_share=True,
        best=(1.0,),
        chance=lambda classes: min(1.0, TOP / classes),
    ),
    SampleMetric(
        "calibration_error",
        f"expected calibration error in {BINS} bins of confidence",
        "minimize",
        _confidences,
        _gaps,
    ),
)
