"""Wilson's interval against SciPy's, and the bootstrap's against the standard error of a mean."""

from math import sqrt

import numpy as np
import pytest
from scipy.stats import binomtest, bootstrap, norm

from narrower.tasks.catalogue import TASKS, metrics_of
from narrower.tasks.classification.task import CLASSIFICATION
from narrower.tasks.intervals import (
    draws_of,
    interval,
    interval_words,
    resampled,
    share_interval,
    wilson_interval,
)
from narrower.tasks.paired import is_better
from narrower.tasks.task import SampleMetric, leading

ERROR = SampleMetric("error", "", "minimize", lambda outputs, _targets: outputs)
RATIO = SampleMetric("ratio", "", "maximize", ERROR.contributions, lambda sums, _samples: sums[0] / sums[1])


def errors(count: int) -> np.ndarray:
    return np.random.default_rng(5).normal(3.0, 2.0, count)


@pytest.mark.parametrize("confidence", [0.8, 0.95])
@pytest.mark.parametrize(("hits", "trials"), [(0, 10), (10, 10), (5, 9), (5815, 8800), (1, 512), (511, 512)])
def test_equals_scipy(hits: int, trials: int, confidence: float) -> None:
    expected = binomtest(hits, trials).proportion_ci(confidence, method="wilson")
    found = wilson_interval(hits, trials, confidence)
    assert found == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_a_share_of_samples_has_the_interval_of_its_hits() -> None:
    expected = binomtest(10, 40).proportion_ci(method="wilson")
    assert share_interval(0.25, 40) == pytest.approx((expected.low, expected.high), abs=1e-9)
    hits = np.arange(40) < 10
    assert interval(leading(CLASSIFICATION), hits) == share_interval(0.25, 40)


def test_no_samples_have_no_interval() -> None:
    with pytest.raises(ValueError, match="at least one sample"):
        wilson_interval(0, 0)


def test_a_mean_lies_within_two_standard_errors() -> None:
    values = errors(400)
    low, high = interval(ERROR, values)
    error = values.std() / sqrt(len(values))
    ends = ((low - values.mean()) / error, (high - values.mean()) / error)
    assert ends == pytest.approx((norm.ppf(0.025), norm.ppf(0.975)), abs=0.2)
    scipys = bootstrap((values,), np.mean, method="percentile", random_state=np.random.default_rng(0))
    assert (low, high) == pytest.approx(tuple(scipys.confidence_interval), abs=0.2 * error)


def test_draws_are_a_thousand_and_the_same_for_as_many_samples() -> None:
    first, second = errors(90), errors(180)[90:]
    drawn = resampled(ERROR, first)
    assert drawn.shape == (1000,)
    assert len(np.unique(drawn)) == 1000
    assert drawn.std() == pytest.approx(first.std() / sqrt(90), rel=0.1)
    assert drawn - resampled(ERROR, second) == pytest.approx(resampled(ERROR, first - second))


def test_columns_are_drawn_together() -> None:
    values = errors(50)
    assert resampled(RATIO, np.stack([values, 2 * values], axis=1)) == pytest.approx(0.5)


def test_curves_of_many_samples_are_drawn_few_times_and_still_tell_how_sure_they_are() -> None:
    """Against DeLong et al. (1988), by ranks; a rival whose scores are noisier is worse."""
    (metric,) = (m for m in metrics_of(TASKS["classification"]) if m.name == "auc")
    chance, count = np.random.default_rng(2), 90_000
    labels = np.arange(count) % 2
    scores = labels + chance.normal(size=count)
    columns = np.stack([-scores, scores, labels], axis=1)
    assert draws_of(metric, count) == 50
    assert draws_of(metric, 300) == 1000
    assert interval_words(metric, count) == "bootstrap (normal): 50 draws of 90,000 samples, seed 90000"
    low, high = interval(metric, columns)
    odd, usual = np.sort(scores[labels == 1]), np.sort(scores[labels == 0])
    above, below = (np.searchsorted(usual, odd) / len(usual), np.searchsorted(odd, usual) / len(odd))
    error = np.sqrt(above.var() / len(odd) + below.var() / len(usual))
    assert (low + high) / 2 == pytest.approx(above.mean(), abs=0.3 * error)
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.3)  # three standard errors of 50 draws
    noisy = scores + 0.2 * chance.normal(size=count)
    rival = np.stack([-noisy, noisy, labels], axis=1)
    assert is_better(metric, columns, rival)
