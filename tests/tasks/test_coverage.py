"""95 % intervals hold the true value in 93 to 97 of 100 repetitions, by drawing data whose truth is known.

Average precision of 300 samples lies above its true value on average, and so does its interval: 91 of 100.
"""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from narrower.tasks.catalogue import TASKS, metrics_of
from narrower.tasks.intervals import interval
from narrower.tasks.task import SampleMetric

SAMPLES = 300
REPETITIONS = 600
LARGE = 400_000  # samples that give the truth where there is no closed form
Draw = Callable[[np.random.Generator, int], tuple[Tensor, Tensor]]


def two_kinds(chance: np.random.Generator, count: int) -> tuple[Tensor, Tensor]:
    """Scores of two classes, the odd one shifted by 1: the area under the curve is Phi(1 / sqrt(2))."""
    labels = (chance.random(count) < 0.4).astype(np.int64)
    scores = chance.normal(size=count) + labels
    return torch.from_numpy(np.stack([np.zeros(count), scores - 0.5], 1)), torch.from_numpy(labels)


def numbers(chance: np.random.Generator, count: int) -> tuple[Tensor, Tensor]:
    """Targets with a spread of 2 and errors with one of 1."""
    targets = 2 * chance.normal(size=count)
    return torch.from_numpy(targets + chance.normal(size=count)), torch.from_numpy(targets)


def labels(chance: np.random.Generator, count: int) -> tuple[Tensor, Tensor]:
    targets = (chance.random((count, 3)) < 0.4).astype(np.float64)
    return torch.from_numpy(chance.normal(size=(count, 3)) + targets - 0.5), torch.from_numpy(targets)


def sentences(chance: np.random.Generator, count: int) -> tuple[Tensor, Tensor]:
    """Sequences of 6 tokens of 4, of which each is easy or hard as a whole."""
    targets = torch.from_numpy(chance.integers(0, 4, (count, 6)))
    ease = torch.from_numpy(chance.normal(size=(count, 1, 1)) + 1)
    outputs = torch.from_numpy(chance.normal(size=(count, 6, 4)))
    return outputs + ease * torch.nn.functional.one_hot(targets, 4), targets


def pictures(chance: np.random.Generator, count: int) -> tuple[Tensor, Tensor]:
    """Pictures of 16 pixels of 3 classes, of which each is easy or hard as a whole."""
    targets = torch.from_numpy(chance.integers(0, 3, (count, 4, 4)))
    ease = torch.from_numpy(chance.normal(size=(count, 1, 1, 1)) + 1)
    outputs = torch.from_numpy(chance.normal(size=(count, 3, 4, 4)))
    return outputs + ease * torch.nn.functional.one_hot(targets, 3).permute(0, 3, 1, 2), targets


CASES: list[tuple[str, str, Draw, float | None]] = [
    ("classification", "accuracy", two_kinds, None),
    ("classification", "auc", two_kinds, float(stats.norm.cdf(1 / np.sqrt(2)))),
    ("classification", "balanced_accuracy", two_kinds, float(stats.norm.cdf(0.5))),
    ("classification", "average_precision", two_kinds, None),
    ("classification", "macro_f1", two_kinds, None),
    ("regression", "mse", numbers, 1.0),
    ("regression", "rmse", numbers, 1.0),
    ("regression", "mae", numbers, float(np.sqrt(2 / np.pi))),
    ("regression", "r2", numbers, 0.75),
    ("multi-label", "label_accuracy", labels, float(stats.norm.cdf(0.5))),
    ("multi-label", "exact_match", labels, float(stats.norm.cdf(0.5) ** 3)),
    ("multi-label", "auc", labels, float(stats.norm.cdf(1 / np.sqrt(2)))),
    ("classification", "loss", two_kinds, None),
    ("language-modelling", "perplexity", sentences, None),
    ("language-modelling", "token_accuracy", sentences, None),
    ("segmentation", "mean_iou", pictures, None),
    ("segmentation", "dice", pictures, None),
]


FEW = ("balanced_accuracy", "r2", "exact_match", "mae")  # whose truth has a closed form


def metric_named(task: str, name: str) -> SampleMetric:
    (found,) = [metric for metric in metrics_of(TASKS[task]) if metric.name == name]
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("task", "name", "draw", "truth"), CASES)
def test_intervals_hold_the_truth(task: str, name: str, draw: Draw, truth: float | None) -> None:
    metric = metric_named(task, name)
    chance = np.random.default_rng(7)
    if truth is None:
        outputs, targets = draw(chance, LARGE)
        truth = metric.value(metric.sums(outputs, targets), LARGE)
    held = share_that_holds(metric, draw, truth, SAMPLES, REPETITIONS)
    least = 0.90 if name == "average_precision" else 0.93
    # so many repetitions are themselves 0.9 of 100 apart: one standard error is granted on either side
    assert least - 0.009 <= held <= 0.97 + 0.009, held


@pytest.mark.parametrize(("task", "name", "draw", "truth"), [case for case in CASES if case[1] in FEW])
def test_of_few_small_samples_nearly_as_many_hold_the_truth(
    task: str, name: str, draw: Draw, truth: float | None
) -> None:
    assert truth is not None
    held = share_that_holds(metric_named(task, name), draw, truth, 120, 60)
    assert 0.85 <= held <= 1, held  # three standard errors below 95 of 100


def share_that_holds(metric: SampleMetric, draw: Draw, truth: float, samples: int, repetitions: int) -> float:
    chance = np.random.default_rng(7)
    held = 0
    for _ in range(repetitions):
        outputs, targets = draw(chance, samples)
        low, high = interval(metric, metric.contributions(outputs, targets).numpy())
        held += low <= truth <= high
    return held / repetitions
