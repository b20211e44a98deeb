"""The page, the pictures and the record of a comparison hold the numbers that were summed up."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from narrower.errors import RunError
from narrower.study.comparison import plots
from narrower.study.comparison.measures import Measure, curves, measures
from narrower.study.comparison.page import COLOURS, DASHES, _figure, _traces, comparison_page, estimate_text
from narrower.study.comparison.record import Comparison, Estimate, read_comparison


def measure(comparison: Comparison, name: str) -> Measure:
    return next(each for each in measures(comparison.setup) if each.name == name)


@pytest.mark.parametrize("over_time", [False, True])
@pytest.mark.parametrize("name", ["hypervolume", "distance", "accuracy"])
def test_lines_are_medians_and_bands_their_intervals(
    comparison: Comparison,
    name: str,
    over_time: bool,
) -> None:
    figure = _figure(comparison, measure(comparison, name), over_time=over_time)
    drawn = curves(comparison, measure(comparison, name), over_time=over_time)
    assert len(figure.traces) == 2 * len(drawn)
    for band, line, curve in zip(figure.traces[::2], figure.traces[1::2], drawn, strict=True):
        known = np.isfinite(curve.high)
        assert (line["name"], line["legendgroup"]) == (curve.sampler, band["legendgroup"])
        assert line["x"] == pytest.approx(curve.x[known].tolist(), abs=1e-9)
        assert line["y"] == pytest.approx(curve.median[known].tolist(), abs=1e-9)
        there, back = curve.high[known].tolist(), curve.low[known].tolist()[::-1]
        assert band["y"] == pytest.approx([*there, *back], abs=1e-9)
        assert band["x"] == line["x"] + line["x"][::-1]
        assert not band["showlegend"]
    x, y = figure.layout["xaxis"], figure.layout["yaxis"]
    assert (x["title"]["text"], x.get("type")) == (("seconds", "log") if over_time else ("trials", None))
    assert y.get("range") == ([0, 1.02] if name == "hypervolume" else None)
    assert y.get("type") == ("log" if name == "distance" else None)


def test_samplers_are_told_apart_by_colour_and_then_by_dashes(comparison: Comparison) -> None:
    curve = curves(comparison, measure(comparison, "found"), over_time=False)[0]
    looks = [_traces(curve, number)[1]["line"] for number in range(len(COLOURS) * len(DASHES))]
    assert len({(look["color"], look["dash"]) for look in looks}) == len(looks)
    assert {look["dash"] for look in looks[: len(COLOURS)]} == {DASHES[0]}


def test_tables_say_what_was_needed_and_which_differences_are_seen(comparison: Comparison) -> None:
    page = comparison_page(comparison)
    assert page.headline == comparison.conclusion.headline
    first, others, tests, origin = page.sections
    (needed,) = first.tables
    assert needed.columns[:5] == ("sampler", "trials to 95%", "seeds", "trials to 99%", "seeds")
    assert needed.numeric == (False, *(True,) * (len(needed.columns) - 1))
    quick, slow = needed.rows
    assert quick[:5] == ("quick", "3", "8 of 8", "not reached", "0 of 8")
    assert slow[:5] == ("slow", "not reached", "0 of 8", "not reached", "0 of 8")
    assert quick[-2:] == ("3", "0.08")  # repeated proposals, and seconds of its own
    assert quick[5] == estimate_text(comparison.summaries[0].hypervolume, "{:.1%}")
    assert slow[6] == estimate_text(comparison.summaries[1].found, "{:.0%}")
    (tested,) = tests.tables
    assert tested.rows[0] == ("mean hypervolume", "quick, slow", "0.0078", "0.016", "quick")
    unseen = replace(comparison, tests=tuple(replace(test, better=None) for test in comparison.tests))
    assert comparison_page(unseen).sections[2].tables[0].rows[0][-1] == "no difference seen"
    facts = dict(origin.tables[0].rows)
    assert facts["scored on"] == "100 samples of the validation part"
    assert facts["yardstick"] == "the front of 50 plans (exact), 4 points"
    titles = [each.title for each in measures(comparison.setup)]
    assert [figure.label for figure in first.figures] == [
        f"{titles[0]}, over {clock}" for clock in ("trials", "time")
    ]
    assert [figure.label for figure in others.figures] == [f"{title}, over trials" for title in titles[1:]]


def test_an_interval_of_one_value_is_that_value() -> None:
    assert estimate_text(Estimate(3.0, 3.0, 3.0), "{:,.0f}") == "3"
    assert estimate_text(Estimate(3.0, 2.0, None), "{:,.0f}") == "3 (2 to not reached)"
    assert estimate_text(Estimate(None, None, None), "{:,.0f}") == "not reached"


@pytest.mark.parametrize("over_time", [False, True])
def test_pictures_have_a_line_and_a_band_for_each_sampler(comparison: Comparison, over_time: bool) -> None:
    for name in ("hypervolume", "distance"):
        (axes,) = plots._figure(comparison, measure(comparison, name), over_time=over_time).axes
        assert [line.get_label() for line in axes.get_lines()] == ["quick", "slow"]
        assert len({line.get_color() for line in axes.get_lines()}) == 2
        assert len(axes.collections) == 2
        curve = curves(comparison, measure(comparison, name), over_time=over_time)[0]
        np.testing.assert_array_equal(axes.get_lines()[0].get_ydata(), curve.median)
        assert axes.get_xlabel() == ("seconds" if over_time else "trials")
        assert axes.get_xscale() == ("log" if over_time else "linear")
        assert axes.get_yscale() == ("log" if name == "distance" else "linear")
        if name == "hypervolume":
            assert axes.get_ylim() == (0, 1.02)


def test_each_measure_has_a_picture_over_trials_and_the_first_one_over_time(
    comparison: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: dict[str, tuple[str, str]] = {}

    def keep(figures: dict[str, Any], _directory: Path) -> tuple[Path, ...]:
        drawn.update({n: (f.axes[0].get_ylabel(), f.axes[0].get_xlabel()) for n, f in figures.items()})
        return ()

    monkeypatch.setattr(plots, "save_figures", keep)
    plots.write_comparison_plots(comparison, tmp_path)
    found = measures(comparison.setup)
    expected = {each.name: (each.title, "trials") for each in found}
    assert drawn == expected | {"hypervolume-over-time": (found[0].title, "seconds")}


def test_a_record_is_read_back_as_it_was(comparison: Comparison, tmp_path: Path) -> None:
    path = tmp_path / "comparison.json"
    with pytest.raises(RunError, match="cannot be read: No such file"):
        read_comparison(path)
    path.write_text(json.dumps(comparison.to_dict()), encoding="utf-8")
    assert read_comparison(path) == comparison
    assert [run.seed for run in read_comparison(path).runs_of("slow")] == list(range(8))
    damaged = comparison.to_dict()
    damaged["runs"][1]["seed"] = "first"
    path.write_text(json.dumps(damaged), encoding="utf-8")
    with pytest.raises(RunError, match=r"not the record of a comparison: runs\.1\.seed: "):
        read_comparison(path)
