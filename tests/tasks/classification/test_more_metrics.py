"""Metrics that are measured where they are named are those of scikit-learn and torchmetrics."""

import pickle

import pytest
import torch
from sklearn import metrics as of_sklearn
from torchmetrics.functional.classification import multiclass_calibration_error

from narrower.evaluate.own_metric import named_metrics
from narrower.tasks.catalogue import TASKS, more_metric
from narrower.tasks.intervals import interval
from narrower.tasks.paired import is_better

TASK = TASKS["classification"]
CHANCE = torch.Generator().manual_seed(7)
TARGETS = torch.randint(0, 8, (600,), generator=CHANCE)
SCORES = torch.randn(600, 8, generator=CHANCE).round(decimals=2) + torch.nn.functional.one_hot(TARGETS, 8)
PROBABILITIES = SCORES.double().softmax(1).numpy()
ONE_HOT = torch.nn.functional.one_hot(TARGETS, 8).numpy()
DECIDED = SCORES.argmax(1)
EXPECTED = {
    "balanced_accuracy": of_sklearn.balanced_accuracy_score(TARGETS, DECIDED),
    "macro_f1": of_sklearn.f1_score(TARGETS, DECIDED, average="macro"),
    "auc": of_sklearn.roc_auc_score(TARGETS, PROBABILITIES, multi_class="ovr"),
    "average_precision": of_sklearn.average_precision_score(ONE_HOT, PROBABILITIES),
    "top_5": of_sklearn.top_k_accuracy_score(TARGETS, PROBABILITIES, k=5),
    "calibration_error": float(multiclass_calibration_error(SCORES.softmax(1), TARGETS, 8, n_bins=15)),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_metric_is_that_of_others(name: str) -> None:
    value = pickle.loads(pickle.dumps(named_metrics(TASK, [name])[name]))(SCORES, TARGETS)
    assert value == pytest.approx(EXPECTED[name], rel=1e-5)


def test_sure_answers_have_a_bin_of_their_own() -> None:
    """As those of a trained network: most confidences lie in the last two of 15 bins."""
    scores = SCORES * 4
    value = named_metrics(TASK, ["calibration_error"])["calibration_error"](scores, TARGETS)
    expected = multiclass_calibration_error(scores.softmax(1), TARGETS, 8, n_bins=15)
    assert value == pytest.approx(float(expected), rel=1e-5)
    top = more_metric(TASK, "top_5")
    assert top is not None
    assert top.best == (1.0,)


@pytest.mark.parametrize("single", [False, True])
def test_of_two_classes_the_second_is_looked_for(single: bool) -> None:
    targets = (TARGETS > 4).long()
    scores = SCORES[:, :2] if not single else SCORES[:, :1]
    sure = (scores[:, 1] - scores[:, 0]) if not single else scores[:, 0]
    metric = more_metric(TASK, "auc")
    assert metric is not None
    value = metric.value(metric.sums(scores, targets), len(targets))
    assert value == pytest.approx(of_sklearn.roc_auc_score(targets, sure))


def test_rejection_of_background_is_read_off_the_curve() -> None:
    import numpy as np

    metric = more_metric(TASK, "background_rejection")
    assert metric is not None
    each = []
    for number in range(8):
        false, true, _ = of_sklearn.roc_curve(
            number == TARGETS, PROBABILITIES[:, number], drop_intermediate=False
        )
        each.append(1 / np.interp(0.5, true, false))
    assert metric.value(metric.sums(SCORES, TARGETS), 600) == pytest.approx(np.mean(each))


def test_the_interval_of_a_curve_holds_its_value_and_pairs_are_compared() -> None:
    metric = more_metric(TASK, "auc")
    assert metric is not None
    own = metric.contributions(SCORES, TARGETS).numpy()
    low, high = interval(metric, own)
    assert low < EXPECTED["auc"] < high
    worse = metric.contributions(SCORES + 2 * torch.randn(SCORES.shape, generator=CHANCE), TARGETS).numpy()
    assert is_better(metric, own, worse)
    assert not is_better(metric, worse, own)


@pytest.mark.slow
def test_intervals_of_areas_hold_the_true_one_as_often_as_they_say() -> None:
    """Scores of two normal distributions a distance d apart have the area Phi(d / sqrt(2))."""
    from statistics import NormalDist

    import numpy as np

    metric = more_metric(TASK, "auc")
    assert metric is not None
    truth = NormalDist().cdf(1 / 2**0.5)
    chance = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        targets = torch.from_numpy((chance.random(250) < 0.4).astype(np.int64))
        logits = torch.from_numpy(chance.normal(size=250) + targets.numpy())
        low, high = interval(metric, metric.contributions(logits[:, None], targets).numpy())
        held += low <= truth <= high
    assert 0.93 <= held / 400 <= 0.97
