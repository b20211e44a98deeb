"""Objectives of a settings file: sums with negative scales, directions, bounds of metrics."""

from pathlib import Path

import pytest

from narrower.errors import SettingsError
from narrower.searching.objective import Constraint
from narrower.settings import convert_objectives
from narrower.settings.load import load_settings
from narrower.settings.schema import RunSettings
from tests.settings.test_load import VALID

METRICS = VALID[VALID.index("accuracy.scale") :]


def settings(metrics: str, setup: str = "") -> RunSettings:
    path = Path("run.toml")
    text = VALID.replace("sum_scaled_metrics = false", setup).replace(METRICS, metrics)
    path.write_text(text, encoding="utf-8")
    return load_settings(path).settings


def summed(direction: str) -> str:
    return f'sum_scaled_metrics = true\ndirection = "{direction}"'


@pytest.mark.parametrize("scale", [-0.2, 0.2])
def test_a_negative_scale_subtracts_as_the_other_direction_does(scale: float) -> None:
    metrics = (
        f'accuracy.scale = 1.0\naverage_bitwidth.scale = {scale}\naverage_bitwidth.direction = "minimize"'
    )
    wanted = convert_objectives.objectives(settings(metrics, summed("maximize")))
    better = wanted.losses({"accuracy": 0.7, "average_bitwidth": 4.0})
    worse = wanted.losses({"accuracy": 0.7, "average_bitwidth": 8.0})
    assert better == (pytest.approx(-(0.7 - 0.2 * 4.0)),)
    assert better < worse


def test_a_negative_scale_in_a_sum_to_minimise_is_maximised() -> None:
    wanted = convert_objectives.objectives(
        settings("accuracy.scale = -2\nloss.scale = 1", summed("minimize"))
    )
    assert wanted.losses({"accuracy": 0.5, "loss": 1.5}) == (pytest.approx(1.5 - 2 * 0.5),)


@pytest.mark.parametrize(
    ("metrics", "setup", "said"),
    [
        ("accuracy.scale = -1.0", "", "accuracy.scale: found -1; allowed: a number above 0"),
        ("accuracy.scale = -1.0", summed("maximize"), "contradicts accuracy.direction = 'maximize'"),
        ("loss.scale = -1.0", summed("minimize"), "contradicts loss.direction = 'minimize'"),
    ],
)
def test_a_negative_scale_that_makes_no_sense_is_refused(metrics: str, setup: str, said: str) -> None:
    with pytest.raises(SettingsError, match=f"^search.strategy.metrics.*{said}"):
        convert_objectives.objectives(settings(metrics, setup))


def test_a_cost_with_a_negative_scale_is_subtracted_whatever_its_direction_says() -> None:
    metrics = 'accuracy.scale = 1\naverage_bitwidth.scale = -0.1\naverage_bitwidth.direction = "maximize"'
    found = settings(metrics, summed("maximize"))
    wanted = convert_objectives.objectives(found)
    assert wanted.losses({"accuracy": 0.7, "average_bitwidth": 4.0}) == (pytest.approx(-(0.7 - 0.1 * 4.0)),)
    (note,) = convert_objectives.objective_notes(found)
    assert "average_bitwidth.direction: 'maximize' has no effect beside scale = -0.1" in note


def test_a_direction_without_an_effect_is_named() -> None:
    both = "accuracy.scale = 1\naverage_bitwidth.scale = 0.2"
    (note,) = convert_objectives.objective_notes(settings(both, 'direction = "maximize"'))
    assert "'maximize' has no effect without sum_scaled_metrics" in note
    (note,) = convert_objectives.objective_notes(settings(both, summed("maximize")))
    assert "1 x accuracy - 0.2 x average_bitwidth is maximized" in note
    signed = "accuracy.scale = 1\naverage_bitwidth.scale = -0.2"
    assert convert_objectives.objective_notes(settings(signed, summed("maximize"))) == ()
    assert convert_objectives.objective_notes(settings(both)) == ()


def test_bounds_of_a_metric_are_constraints() -> None:
    found = settings("accuracy.lower_bound = 0.5\nbitops.lower_bound = 1\nbitops.upper_bound = 900")
    assert convert_objectives.constraints(found) == (
        Constraint("accuracy", 0.5, None),
        Constraint("bitops", 1.0, 900.0),
    )


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        ("bitops.lower_bound = 5\nbitops.upper_bound = 4", "lower_bound: found 5, above upper_bound = 4"),
        ("bitops.upper_bound = 4\n[search.strategy.constraints]\nbitops.max = 5", "give them once"),
    ],
)
def test_bounds_that_contradict_are_refused(metrics: str, said: str) -> None:
    with pytest.raises(SettingsError, match=f"^search.strategy.metrics.bitops.*{said}"):
        convert_objectives.constraints(settings(metrics))
