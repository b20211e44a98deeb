"""Several runs on one page: their fronts in one picture, what they reached, and what they did not share."""

import tomllib
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np

from narrower.errors import RunError
from narrower.report.findings import Findings
from narrower.report.page import Figure, Page, Section, Table, plot_text
from narrower.report.plan_text import metric_name, metric_value, percent, plan_line, with_interval
from narrower.searching.front import hypervolume

COLOURS = ("var(--accent)", "var(--warm)", "var(--good)", "var(--violet)", "var(--text)", "var(--faint)")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star")
SCORED_ON = {
    "data set": "the data differ",
    "samples": "the samples that plans were scored on differ",
    "model weights": "the models or their weights differ",
}


def side_by_side(runs: Sequence[Findings]) -> Page:
    """The page as a value.

    Raises:
        RunError: the runs have no quality and no cost in common.
    """
    names = _names(runs)
    quality, cost = _axes(runs)
    shares = _volumes(runs, quality, cost)
    best = max(range(len(runs)), key=lambda n: shares[n])
    return Page(
        title=" and ".join([", ".join(names[:-1]), names[-1]]),
        subtitle=f"{len(runs)} runs by {metric_name(quality)} and {metric_name(cost)}",
        headline=f"{names[best]} has the front that dominates most",
        sentences=(
            "The hypervolume is what a front dominates between the best and the worst values that any of "
            f"these fronts has. Of what all of them together dominate, {names[best]} has "
            f"{percent(shares[best])}.",
            "Intervals are of the samples that each run scored on: fronts that are closer than those may "
            "change places on other samples.",
        ),
        facts=tuple((name, f"{percent(share)} dominated") for name, share in zip(names, shares, strict=True)),
        sections=(
            Section("The fronts", figures=(_fronts(runs, names, quality, cost),)),
            Section("What they reached", tables=(_table(runs, names, quality, cost, shares),)),
            _differences(runs, names),
        ),
        warnings=_warnings(runs),
        footer=f"Drawn from {', '.join(str(run.run.path) for run in runs)}. This file needs no network.",
    )


def _names(runs: Sequence[Findings]) -> list[str]:
    """Names of directories; whole paths where those agree."""
    names = [run.run.path.name for run in runs]
    return names if len(set(names)) == len(names) else [str(run.run.path) for run in runs]


def _axes(runs: Sequence[Findings]) -> tuple[str, str]:
    quality = runs[0].quality
    if any(run.quality != quality for run in runs):
        found = ", ".join(f"{run.run.path}: {run.quality}" for run in runs)
        raise RunError(
            f"the runs are told apart by different metrics ({found}): one page cannot compare them"
        )
    empty = [str(run.run.path) for run in runs if not run.members]
    if empty:
        raise RunError(f"{' and '.join(empty)}: the front is empty")
    common = [
        cost
        for cost in runs[0].costs
        if all(cost in member.metrics for run in runs for member in run.members)
    ]
    if not common:
        raise RunError("the runs have no cost in common: " + "; ".join(", ".join(r.costs) for r in runs))
    return quality, common[0]


def _volumes(runs: Sequence[Findings], quality: str, cost: str) -> list[float]:
    """Of what all fronts together dominate, the share of each."""
    signs = [-1 if runs[0].is_larger_better(name) else 1 for name in (quality, cost)]
    fronts = [
        np.array([[m.metrics[quality] * signs[0], m.metrics[cost] * signs[1]] for m in run.members])
        for run in runs
    ]
    every = np.concatenate(fronts)
    low, high = every.min(axis=0), every.max(axis=0)
    span = np.where(high > low, high - low, 1.0)
    reference = np.array([1.05, 1.05])  # beyond the worst, so that the ends count
    whole = hypervolume((every - low) / span, reference)
    return [hypervolume((front - low) / span, reference) / whole for front in fronts]


def _fronts(runs: Sequence[Findings], names: Sequence[str], quality: str, cost: str) -> Figure:
    traces: list[dict[str, Any]] = []
    for run, name, colour, symbol in zip(runs, names, cycle(COLOURS), cycle(SYMBOLS), strict=False):
        members = sorted(run.members, key=lambda member: member.metrics[cost])
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": plot_text(name),
                "x": [member.metrics[cost] for member in members],
                "y": [member.metrics[quality] for member in members],
                "text": [plot_text(f"{name}, trial {m.number:,}: {plan_line(run.plan(m))}") for m in members],
                "hovertemplate": "%{text}<br>%{y} at %{x}<extra></extra>",
                "line": {"color": colour, "width": 1.5, "shape": "hv"},
                "marker": {"size": 8, "symbol": symbol, "color": colour},
            }
        )
    return Figure(
        f"{metric_name(quality)} against {metric_name(cost)}",
        tuple(traces),
        {
            "xaxis": {"title": {"text": metric_name(cost)}},
            "yaxis": {"title": {"text": metric_name(quality)}},
        },
        height=520,
    )


def _table(
    runs: Sequence[Findings], names: Sequence[str], quality: str, cost: str, shares: Sequence[float]
) -> Table:
    rows = []
    for run, name, share in zip(runs, names, shares, strict=True):
        record, best = run.record, run.members[-1]
        leading = record.metric.name
        cheapest = min(member.metrics[cost] for member in run.members)
        rows.append(
            (
                name,
                record.sampler,
                f"{record.summary.trials:,}",
                f"{len(record.members):,}",
                with_interval(leading, record.value(best), best.interval),
                with_interval(leading, best.test_value, best.test_interval),
                metric_value(cost, best.metrics[cost]),
                metric_value(cost, cheapest),
                percent(share),
                f"{record.summary.seconds:,.1f} s",
            )
        )
    columns = (
        "run",
        "sampler",
        "trials",
        "on the front",
        f"best {metric_name(quality)} (95 %)",
        "on the test part (95 %)",
        f"its {metric_name(cost)}",
        f"least {metric_name(cost)}",
        "dominated",
        "time",
    )
    return Table(columns, tuple(rows), (False, False, *(True,) * 8))


def _differences(runs: Sequence[Findings], names: Sequence[str]) -> Section:
    settings = [_settings(run) for run in runs]
    keys = dict.fromkeys(key for each in settings for key in each)
    rows = [
        (key, *(each.get(key, "–") for each in settings))
        for key in keys
        if len({each.get(key, "–") for each in settings}) > 1
    ]
    if not rows:
        return Section("Settings that differ", ("None.",))
    return Section(
        "Settings that differ",
        tables=(Table(("key", *names), tuple(rows), (False,) * (1 + len(names))),),
    )


def _settings(run: Findings) -> dict[str, str]:
    try:
        return dict(_flat(tomllib.loads(run.run.settings.read_text(encoding="utf-8"))))
    except (OSError, ValueError):
        return {}


def _flat(table: Mapping[str, Any], above: str = "") -> list[tuple[str, str]]:
    found = []
    for key, value in table.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{above}{key}.")
        else:
            found.append((f"{above}{key}", str(value)))
    return found


def _warnings(runs: Sequence[Findings]) -> tuple[str, ...]:
    return tuple(
        f"{words[0].upper()}{words[1:]}: differences between the fronts may come from that."
        for name, words in SCORED_ON.items()
        if len({str(run.table.facts.get(name)) for run in runs}) > 1
    )
