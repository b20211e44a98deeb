"""Metrics of every task are those of scikit-learn and torchmetrics; bootstraps draw what they say."""

import math

import numpy as np
import pytest
import torch
from sklearn import metrics as of_sklearn
from torch import Tensor
from torchmetrics.functional.segmentation import mean_iou
from torchmetrics.functional.text import perplexity

from narrower.tasks.catalogue import TASKS
from narrower.tasks.classification.task import CLASSIFICATION
from narrower.tasks.task import Ending, SampleMetric
from narrower.tasks.whole_metrics import area_under_curve, average_precision, background_rejection

CHANCE = torch.Generator().manual_seed(11)


def value_of(task: str, name: str, outputs: Tensor, targets: Tensor) -> float:
    metric = found(task, name)
    return metric.value(metric.sums(outputs, targets), len(targets))


def found(task: str, name: str) -> SampleMetric:
    (metric,) = [metric for metric in TASKS[task].metrics if metric.name == name]
    return metric


def test_labels() -> None:
    outputs = torch.randn(400, 5, generator=CHANCE).round(decimals=1)
    targets = (torch.rand(400, 5, generator=CHANCE) < 0.3).float()
    decided = (outputs > 0).numpy()
    assert value_of("multi-label", "label_accuracy", outputs, targets) == pytest.approx(
        1 - of_sklearn.hamming_loss(targets.numpy(), decided)
    )
    assert value_of("multi-label", "exact_match", outputs, targets) == of_sklearn.accuracy_score(
        targets.numpy(), decided
    )
    assert value_of("multi-label", "macro_f1", outputs, targets) == pytest.approx(
        of_sklearn.f1_score(targets.numpy(), decided, average="macro")
    )
    assert value_of("multi-label", "auc", outputs, targets) == pytest.approx(
        of_sklearn.roc_auc_score(targets.numpy(), outputs.numpy(), average="macro")
    )
    loss = torch.nn.functional.binary_cross_entropy_with_logits(outputs.double(), targets.double())
    assert value_of("multi-label", "loss", outputs, targets) == pytest.approx(float(loss))


def test_classes_without_names_are_their_numbers() -> None:
    assert TASKS["classification"].check(np.array([2, 0, 1])) == ("0", "1", "2")


def test_a_single_logit_is_two_scores() -> None:
    logits = torch.randn(500, 1, generator=CHANCE).round(decimals=1)
    targets = (torch.rand(500, generator=CHANCE) < 0.4).long()
    both = torch.cat([torch.zeros_like(logits), logits], dim=1)
    for outputs in (logits, logits[:, 0]):
        for metric in CLASSIFICATION.metrics:
            assert metric.sums(outputs, targets) == metric.sums(both, targets)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(logits[:, 0].double(), targets.double())
    assert value_of("classification", "loss", logits, targets) == pytest.approx(float(loss), abs=1e-6)
    assert value_of("classification", "accuracy", logits, targets) == of_sklearn.accuracy_score(
        targets, logits[:, 0] > 0
    )


def test_pixels() -> None:
    outputs = torch.randn(20, 4, 6, 7, generator=CHANCE)
    targets = torch.randint(0, 4, (20, 6, 7), generator=CHANCE)
    decided = outputs.argmax(1)
    iou = of_sklearn.jaccard_score(targets.flatten(), decided.flatten(), average="macro")
    assert value_of("segmentation", "mean_iou", outputs, targets) == pytest.approx(iou)
    f1 = of_sklearn.f1_score(targets.flatten(), decided.flatten(), average="macro")
    assert value_of("segmentation", "dice", outputs, targets) == pytest.approx(f1)
    assert value_of("segmentation", "pixel_accuracy", outputs, targets) == pytest.approx(
        of_sklearn.accuracy_score(targets.flatten(), decided.flatten())
    )
    each = [value_of("segmentation", "mean_iou", outputs[i : i + 1], targets[i : i + 1]) for i in range(20)]
    of_each = mean_iou(decided, targets, num_classes=4, input_format="index")
    assert each == pytest.approx(of_each.tolist(), rel=1e-5)


def test_places_that_do_not_count_change_nothing() -> None:
    outputs = torch.randn(8, 3, 5, 5, generator=CHANCE)
    targets = torch.randint(0, 3, (8, 5, 5), generator=CHANCE)
    targets[:, 0] = -100
    for name in ("mean_iou", "dice", "pixel_accuracy", "loss"):
        assert value_of("segmentation", name, outputs, targets) == pytest.approx(
            value_of("segmentation", name, outputs[:, :, 1:], targets[:, 1:])
        )


def test_tokens() -> None:
    outputs = torch.randn(12, 9, 7, generator=CHANCE)
    targets = torch.randint(0, 7, (12, 9), generator=CHANCE)
    targets[torch.rand(12, 9, generator=CHANCE) < 0.3] = -100
    assert value_of("language-modelling", "perplexity", outputs, targets) == pytest.approx(
        float(perplexity(outputs, targets, ignore_index=-100)), rel=1e-5
    )
    counted = targets >= 0
    right = of_sklearn.accuracy_score(targets[counted], outputs.argmax(2)[counted])
    assert value_of("language-modelling", "token_accuracy", outputs, targets) == pytest.approx(right)


def test_odd_samples_are_ranked_by_their_error() -> None:
    inputs = torch.randn(300, 4, generator=CHANCE)
    odd = (torch.rand(300, generator=CHANCE) < 0.2).float()
    outputs = inputs + torch.randn(300, 4, generator=CHANCE) * (1 + odd[:, None])
    targets = torch.cat([inputs, odd[:, None]], dim=1)
    errors = (outputs - inputs).square().mean(1).numpy()
    assert value_of("anomalies", "auc", outputs, targets) == pytest.approx(
        of_sklearn.roc_auc_score(odd, errors)
    )
    assert value_of("anomalies", "average_precision", outputs, targets) == pytest.approx(
        of_sklearn.average_precision_score(odd, errors)
    )
    assert value_of("anomalies", "mse", outputs, targets) == pytest.approx(
        float(errors[odd.numpy() == 0].mean()), rel=1e-5
    )
    of_samples = TASKS["anomalies"].loss(Ending()).of_samples
    assert (of_samples(outputs, targets)[odd == 1] == 0).all()


@pytest.mark.parametrize("digits", [0, 1, 6])
def test_curves_are_those_of_scikit_learn_with_ties_and_weights(digits: int) -> None:
    chance = np.random.default_rng(digits)
    labels = (chance.random(500) < 0.3).astype(float)
    scores = (chance.normal(size=500) + labels).round(digits)
    times = chance.integers(0, 4, (3, 500)).astype(float)
    for found_areas, of_reference in (
        (area_under_curve(scores, labels, times), of_sklearn.roc_auc_score),
        (average_precision(scores, labels, times), of_sklearn.average_precision_score),
    ):
        expected = [of_reference(labels, scores, sample_weight=weight) for weight in times]
        assert found_areas.tolist() == pytest.approx(expected)
    false, true, _ = of_sklearn.roc_curve(labels, scores, drop_intermediate=False)
    rejection = background_rejection(scores, labels, np.ones((1, 500)))[0]
    assert rejection == pytest.approx(1 / np.interp(0.5, true, false))


def test_what_has_no_value_is_no_number() -> None:
    scores, one_kind = np.arange(5.0), np.ones(5)
    assert math.isnan(area_under_curve(scores, one_kind, np.ones((1, 5)))[0])
