"""Metrics of a regression are those of scikit-learn; real targets are taken for one, and its search works."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score, root_mean_squared_error

from narrower.data.datasets import load_data_set
from narrower.data.parts import Part
from narrower.tasks.catalogue import TASKS
from narrower.tasks.regression.task import REGRESSION, Regression
from narrower.tasks.task import Ending
from tests.conftest import RunNarrower

ORACLES = {
    "mse": mean_squared_error,
    "loss": mean_squared_error,
    "mae": mean_absolute_error,
    "r2": r2_score,
    "rmse": root_mean_squared_error,
}


@pytest.mark.parametrize("shape", [(200,), (200, 1), (200, 3)])
def test_metrics_are_those_of_scikit_learn(shape: tuple[int, ...]) -> None:
    chance = torch.Generator().manual_seed(0)
    targets = torch.randn(shape, generator=chance) * 50 + 150
    outputs = targets + torch.randn(shape, generator=chance) * 30
    for metric in REGRESSION.metrics:
        value = metric.value(metric.sums(outputs, targets), len(targets))
        expected = ORACLES[metric.name](targets.double().numpy(), outputs.double().numpy())
        assert value == pytest.approx(float(expected), rel=1e-9)


def test_r2_leaves_out_a_target_that_never_varies() -> None:
    targets = torch.tensor([[1.0, 7.0], [2.0, 7.0], [4.0, 7.0]])
    outputs = torch.tensor([[1.5, 6.0], [2.0, 8.0], [3.0, 7.0]])
    (metric,) = [metric for metric in REGRESSION.metrics if metric.name == "r2"]
    value = metric.value(metric.sums(outputs, targets), 3)
    assert value == pytest.approx(r2_score(targets[:, 0].numpy(), outputs[:, 0].numpy()), rel=1e-6)


def test_a_column_of_outputs_fits_a_row_of_targets() -> None:
    """[N, 1] less [N] would be [N, N], and its mean a number as good as any."""
    targets = torch.arange(5.0)
    for metric in REGRESSION.metrics[:3]:
        assert metric.value(metric.sums(targets[:, None], targets), 5) == 0.0
    assert REGRESSION.loss(Ending()).of_samples(targets[:, None], targets).tolist() == [0.0] * 5


def test_targets_say_what_the_task_is() -> None:
    inputs = torch.zeros(4, 2)
    assert Part(inputs, torch.rand(4)).task == TASKS["regression"]
    assert Part(inputs, torch.arange(4)).task == TASKS["classification"]
    assert load_data_set("diabetes").task == REGRESSION


def test_outputs_that_are_bounded_are_warned_of() -> None:
    warning = REGRESSION.loss(Ending("sigmoid", " (layer '2')")).warning
    assert warning is not None
    assert "sigmoid (layer '2')" in warning
    assert REGRESSION.loss(Ending()).warning is None


def test_a_search_its_report_and_a_pick_speak_of_the_error(run_narrower: RunNarrower) -> None:
    search = ("search", "--model", "toy", "--dataset", "diabetes", "--weight-widths", "3,8")
    code, out, err = run_narrower(
        *search,
        "--data-widths",
        "8",
        "--objective",
        "mse",
        "--objective",
        "bitops",
        "--project",
        "d",
        "--json",
    )
    assert code == 0, err
    assert "diabetes: task 'regression', the targets are real numbers" in err
    record = json.loads(out)
    assert record["task"] == "regression"
    assert record["target_names"] == ["progression"]
    for member in record["members"]:
        low, high = member["mse_interval"]
        assert low < member["metrics"]["mse"] < high
        assert member["test_mse"] > 0
    best = min(record["members"], key=lambda member: member["metrics"]["mse"])
    code, out, err = run_narrower("pick", "runs/d", "--max", "bitops=1e9", "--json")
    assert code == 0, err
    assert json.loads(out)["plan"] == best["plan"]
    assert run_narrower("report", "runs/d")[0] == 0
    page = Path("runs/d/report.html").read_text(encoding="utf-8")
    assert "mse in float32" in page
    assert "accuracy in float32" not in page
    code, _, err = run_narrower("export", "runs/d", "--trial", best["number"], "--to", "onnx")
    assert code == 0, err


def test_a_metric_of_another_task_is_refused(run_narrower: RunNarrower) -> None:
    search = ("search", "--model", "toy", "--dataset", "diabetes", "--weight-widths", "3,8")
    code, _, err = run_narrower(*search, "--objective", "accuracy", "--objective", "bitops")
    assert code == 2
    assert "its metrics: mse, loss, mae, r2" in err


def test_a_model_that_knows_nothing_explains_nothing() -> None:
    (metric,) = [metric for metric in REGRESSION.metrics if metric.name == "r2"]
    assert metric.chance is not None
    targets = torch.from_numpy(np.random.default_rng(0).normal(size=100))
    outputs = torch.full((100,), float(targets.mean()), dtype=torch.float64)
    assert metric.value(metric.sums(outputs, targets), 100) == pytest.approx(metric.chance(1), abs=1e-12)


@pytest.mark.parametrize(
    ("name", "of_torch"),
    [("mae", torch.nn.L1Loss()), ("huber", torch.nn.HuberLoss()), ("mse", torch.nn.MSELoss())],
)
def test_other_losses_are_those_of_pytorch(name: str, of_torch: torch.nn.Module) -> None:
    outputs, targets = torch.randn(2, 300, 3, generator=torch.Generator().manual_seed(4)) * 2
    task = Regression(trained_by=name)
    of_samples = task.loss(Ending()).of_samples(outputs, targets)
    torch.testing.assert_close(of_samples.mean(), of_torch(outputs, targets))
    (metric,) = [metric for metric in task.metrics if metric.name == "loss"]
    value = metric.value(metric.sums(outputs, targets), len(targets))
    assert value == pytest.approx(float(of_torch(outputs.double(), targets.double())))


def test_metrics_of_scaled_targets_are_in_their_own_units() -> None:
    outputs, targets = torch.randn(2, 300, 2, generator=torch.Generator().manual_seed(4))
    scales = torch.tensor([10.0, 0.5])
    for scaled, plain in zip(Regression((10.0, 0.5)).metrics, REGRESSION.metrics, strict=True):
        undone = (outputs * scales, targets * scales) if scaled.name != "loss" else (outputs, targets)
        expected = plain.value(plain.sums(*undone), 300)
        assert scaled.value(scaled.sums(outputs, targets), 300) == pytest.approx(expected, rel=1e-5)
