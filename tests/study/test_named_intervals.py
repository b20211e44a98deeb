"""Intervals of metrics that are asked for by name, of a task's others and of the user's own function."""

import csv
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import binomtest, norm
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

import narrower
from narrower.data.datasets import DataSet, Part
from narrower.report.flat_table import csv_lines, front_rows
from narrower.report.markdown import front_markdown
from narrower.report.read_record import read_record
from narrower.report.record import RunRecord
from narrower.store.run_directory import RunDirectory
from narrower.study.api import SearchResult

SPACE = {"0": {"weight": [2, 3, 6]}, "2": {"weight": [2, 6]}}
PARTS = (slice(0, 200), slice(200, 500), slice(500, 700))


def blobs() -> DataSet:
    chance = torch.Generator().manual_seed(1)
    classes = torch.arange(700) % 2
    inputs = torch.randn(700, 6, generator=chance) + 0.3 * classes[:, None]
    return DataSet("blobs", *(Part(inputs[some], classes[some]) for some in PARTS), ("a", "b"))


def model(outputs: int) -> nn.Module:
    torch.manual_seed(2)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, outputs)).eval()


def spread_of_scores(outputs: Tensor, _targets: Tensor) -> float:
    return float(outputs[:, 0].std())


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[SearchResult, RunRecord]:
    directory = tmp_path_factory.mktemp("named") / "run"
    names = dict.fromkeys(("auc", "top_5", f"{__name__}:spread_of_scores"), "maximize")
    metrics = {**names, "bitops": "minimize"}
    result = narrower.search(model(2), blobs(), SPACE, metrics, directory=directory)
    return result, read_record(RunDirectory(directory))


def test_an_area_under_the_curve_has_the_interval_of_hanley_and_mcneil(
    found: tuple[SearchResult, RunRecord],
) -> None:
    """Their standard error (1982) is that of scores of a normal distribution, near enough."""
    result, record = found
    data = blobs()
    for member in record.members:
        network = result.model(member.number)
        for part, value, bounds in (
            (data.validation, member.metrics["auc"], member.intervals["auc"]),
            (data.test, member.on_test["auc"], member.on_test_intervals["auc"]),
        ):
            scores = network(part.inputs).detach()
            area = roc_auc_score(part.targets, scores[:, 1] - scores[:, 0])
            assert value == pytest.approx(area)
            half = float(norm.ppf(0.975)) * _standard_error(area, len(part) / 2)
            assert bounds == pytest.approx((area - half, area + half), abs=0.35 * half)


def _standard_error(area: float, of_each: float) -> float:
    first, second = area / (2 - area), 2 * area**2 / (1 + area)
    spread = area * (1 - area) + (of_each - 1) * (first + second - 2 * area**2)
    return float(np.sqrt(spread)) / of_each


def test_a_named_share_has_wilsons_interval_and_says_so(found: tuple[SearchResult, RunRecord]) -> None:
    _, record = found
    expected = binomtest(300, 300).proportion_ci(method="wilson")  # of two classes five are always enough
    assert all(m.intervals["top_5"] == pytest.approx((expected.low, expected.high)) for m in record.members)
    assert record.interval_notes["top_5"] == "Wilson"
    assert record.interval_notes["auc"] == "bootstrap: 1,000 draws of 300 samples, seed 300"


def test_a_function_of_the_users_has_the_interval_of_its_draws(
    found: tuple[SearchResult, RunRecord],
) -> None:
    result, record = found
    (name,) = [name for name in record.interval_notes if "spread_of_scores" in name]
    for member in record.members:
        scores = result.model(member.number)(blobs().validation.inputs)[:, 0].detach().numpy()
        low, high = member.intervals[name]
        centred = scores - scores.mean()
        error = np.sqrt(((centred**2).var()) / len(scores)) / (2 * scores.std())  # by the delta method
        assert low < member.metrics[name] < high
        assert (high - low) / 2 == pytest.approx(1.96 * error, rel=0.3)
    assert record.interval_notes[name] == "bootstrap (normal): 50 draws of 300 samples, seed 300"


def test_the_original_has_them_too(found: tuple[SearchResult, RunRecord]) -> None:
    _, record = found
    validation = blobs().validation
    scores = model(2)(validation.inputs).detach()
    area = roc_auc_score(validation.targets, scores[:, 1] - scores[:, 0])
    assert record.float32["auc"] == pytest.approx(area)
    low, high = record.float32_intervals["auc"]
    assert low < area < high
    assert {"accuracy", "test_accuracy", "test_auc"} <= set(record.float32_intervals)


def test_tables_show_them_beside_the_value(found: tuple[SearchResult, RunRecord]) -> None:
    _, record = found
    (row, *_) = csv.DictReader(StringIO("\n".join(csv_lines(front_rows(record)))))
    first = record.members[0]
    assert (float(row["auc_low"]), float(row["auc_high"])) == first.intervals["auc"]
    assert float(row["test_auc"]) == first.on_test["auc"]
    assert "test auc (95 %)" in next(front_markdown(record))


def test_where_the_leading_metric_is_not_searched_members_are_told_apart_by_the_one_that_is() -> None:
    """Who is certain leads every cheaper member by more than two deviations of the paired gain, or nearly."""
    found = narrower.search(model(2), blobs(), SPACE, ["auc", "bitops"])
    validation = blobs().validation
    front = sorted(found.front, key=lambda member: member["bitops"])
    assert front[0]["certain"] is True  # nothing is cheaper
    scores = [found.model(member["number"])(validation.inputs).detach().numpy() for member in front]
    gains = [score[:, 1] - score[:, 0] for score in scores]
    chance = np.random.default_rng(0)
    drawn = [chance.integers(0, len(validation), len(validation)) for _ in range(80)]
    areas = np.array([[roc_auc_score(validation.targets[d], g[d]) for d in drawn] for g in gains])
    for number in range(1, len(front)):
        over = areas[number] - areas[:number]
        least = float((over.mean(axis=1) / over.std(axis=1)).min())
        if front[number]["certain"]:
            assert least > 1.8
    assert {member["certain"] for member in front} == {True, False}


def test_a_regression_has_an_interval_of_each_metric(tmp_path: Path) -> None:
    chance = torch.Generator().manual_seed(3)
    inputs = torch.randn(700, 6, generator=chance)
    targets = inputs.sum(dim=1) + torch.randn(700, generator=chance)
    data = DataSet("sums", *(Part(inputs[some], targets[some]) for some in PARTS), ("target",))
    narrower.search(model(1), data, SPACE, ["mse", "bitops"], directory=tmp_path / "run")
    record = read_record(RunDirectory(tmp_path / "run"))
    for member in record.members:
        assert set(member.intervals) == {"mae", "r2", "rmse"}
        for name, (low, high) in member.intervals.items():
            assert low < member.metrics[name] < high
        # the root of the mean squared error has the roots of the ends of that error's interval
        assert member.interval is not None
        ends = tuple(end**0.5 for end in member.interval)
        assert member.intervals["rmse"] == pytest.approx(ends)
