"""The page of a comparison: curves with bands, what was needed, which differences are seen."""

from pathlib import Path
from typing import Any

import numpy as np

from narrower.report.page import Figure, Page, Section, Table, render_page
from narrower.report.plan_text import count, metric_name
from narrower.store.files import write_text
from narrower.study.comparison.measures import Curve, Measure, curves, measures
from narrower.study.comparison.record import Comparison, Estimate

COLOURS = ("var(--accent)", "var(--warm)", "var(--violet)", "var(--good)", "var(--faint)", "var(--text)")
DASHES = ("solid", "dash", "dot", "dashdot")


def write_comparison_page(comparison: Comparison, path: Path) -> None:
    """Write the page.

    Raises:
        OutputError: it cannot be written.
    """
    write_text(path, render_page(comparison_page(comparison)))


def comparison_page(comparison: Comparison) -> Page:
    """The page as a value."""
    setup = comparison.setup
    of_runs = measures(setup)
    return Page(
        title=f"Samplers compared: {setup.model} on {setup.data_set}",
        subtitle=" and ".join(metric_name(o["metric"]) for o in setup.objectives),
        headline=comparison.conclusion.headline,
        sentences=comparison.conclusion.sentences,
        facts=(
            ("plans of the space", count(setup.space_size)),
            ("samplers", ", ".join(setup.samplers)),
            ("seeds", f"{len(setup.seeds)}"),
            ("trials of each search", f"{setup.trials:,}"),
            ("plans scored in all", f"{setup.scored:,}"),
            ("time", f"{setup.seconds:,.1f} s"),
        ),
        sections=(
            Section(
                "How fast the front is found",
                (
                    "Lines are medians over seeds, bands their 95 % bootstrap intervals. Time is the "
                    f"sampler's own and, for each trial, the {setup.plan_seconds * 1000:,.3g} ms that "
                    "scoring one plan alone takes.",
                ),
                (
                    _figure(comparison, of_runs[0], over_time=False),
                    _figure(comparison, of_runs[0], over_time=True),
                ),
                (_needed_table(comparison),),
            ),
            Section(
                "What else was measured",
                (),
                tuple(_figure(comparison, measure, over_time=False) for measure in of_runs[1:]),
            ),
            Section(
                "Which differences are seen",
                (
                    "Wilcoxon's signed-rank test, paired by seed, two-sided, with Holm's correction for all "
                    "tests of this page. Where the corrected p is 0.05 or more, no difference is seen.",
                ),
                tables=(_test_table(comparison),),
            ),
            Section("How it was made", tables=(_origin_table(comparison),)),
        ),
        footer="This file needs no network.",
    )


def _figure(comparison: Comparison, measure: Measure, *, over_time: bool) -> Figure:
    found = curves(comparison, measure, over_time=over_time)
    traces = [trace for number, curve in enumerate(found) for trace in _traces(curve, number)]
    x_axis: dict[str, Any] = {"title": {"text": "seconds" if over_time else "trials"}}
    y_axis: dict[str, Any] = {}  # the caption says what is drawn; beside the axis it would be cut off
    if over_time:
        x_axis["type"] = "log"
    if measure.is_share:
        y_axis |= {"range": [0, 1.02], "tickformat": ".0%"}
    if measure.is_logarithmic:
        y_axis["type"] = "log"
    clock = "time" if over_time else "trials"
    layout = {"xaxis": x_axis, "yaxis": y_axis, "legend": {"orientation": "h", "y": -0.25}}
    return Figure(f"{measure.title}, over {clock}", tuple(traces), layout)


def _traces(curve: Curve, number: int) -> list[dict[str, Any]]:
    colour, dash = COLOURS[number % len(COLOURS)], DASHES[number // len(COLOURS) % len(DASHES)]
    known = np.isfinite(curve.median) & np.isfinite(curve.low) & np.isfinite(curve.high)
    x, low, high, median = (
        np.round(v[known].astype(float), 9).tolist() for v in (curve.x, curve.low, curve.high, curve.median)
    )
    band = {
        "x": x + x[::-1],
        "y": high + low[::-1],
        "mode": "lines",
        "fill": "toself",
        "fillcolor": colour,
        "opacity": 0.18,
        "line": {"width": 0, "color": colour},
        "hoverinfo": "skip",
        "showlegend": False,
        "legendgroup": curve.sampler,
    }
    line = {
        "x": x,
        "y": median,
        "mode": "lines",
        "name": curve.sampler,
        "legendgroup": curve.sampler,
        "line": {"color": colour, "dash": dash, "shape": "hv"},
    }
    return [band, line]


def _needed_table(comparison: Comparison) -> Table:
    seeds = len(comparison.setup.seeds)
    shares = [needed.share for needed in comparison.summaries[0].needed]
    columns = ["sampler"]
    for share in shares:
        columns += [f"trials to {share:.0%}", "seeds"]
    rows = tuple(
        (
            summary.sampler,
            *(
                text
                for needed in summary.needed
                for text in (estimate_text(needed.trials, "{:,.0f}"), f"{needed.reached} of {seeds}")
            ),
            estimate_text(summary.hypervolume, "{:.1%}"),
            estimate_text(summary.found, "{:.0%}"),
            estimate_text(summary.repeated, "{:,.0f}"),
            estimate_text(summary.sampler_seconds, "{:.2f}"),
        )
        for summary in comparison.summaries
    )
    columns += ["hypervolume at the end", "of the front found", "repeated proposals", "sampler's time, s"]
    return Table(tuple(columns), rows, (False, *(True,) * (len(columns) - 1)))


def estimate_text(estimate: Estimate, form: str) -> str:
    """``median (low to high)``; what was not reached is said to be."""

    def one(value: float | None) -> str:
        return "not reached" if value is None else form.format(value)

    if estimate.low == estimate.high:
        return one(estimate.median)
    return f"{one(estimate.median)} ({one(estimate.low)} to {one(estimate.high)})"


def _test_table(comparison: Comparison) -> Table:
    rows = tuple(
        (
            test.measure.replace("_", " "),
            f"{test.first}, {test.second}",
            f"{test.p:.2g}",
            f"{test.corrected:.2g}",
            test.better or "no difference seen",
        )
        for test in comparison.tests
    )
    return Table(("measure", "samplers", "p", "corrected", "better"), rows, (False, False, True, True, False))


def _origin_table(comparison: Comparison) -> Table:
    setup = comparison.setup
    versions = setup.environment.get("versions", {})
    rows = [
        ("scored on", f"{setup.samples:,} samples of the {setup.part} part"),
        ("yardstick", f"the front of {setup.basis_plans:,} plans ({setup.basis}), {setup.front_size} points"),
        *((f"reference {metric_name(name)}", f"{value:g}") for name, value in setup.reference.items()),
        *((f"best {metric_name(name)}", f"{value:g}") for name, value in setup.best.items()),
        ("seeds", ", ".join(map(str, setup.seeds))),
        ("processes", str(setup.jobs)),
        ("SHA-256 of space", setup.space_hash),
        *((name, str(version)) for name, version in versions.items()),
    ]
    return Table(("what", "value"), tuple(rows), (False, False))
