"""The front of a run as a Plotly figure."""

from collections.abc import Sequence
from math import log10
from typing import Any

from narrower.report.findings import Findings
from narrower.report.page import Figure, plot_text, plot_texts, rounded
from narrower.report.plan_text import interval_text, is_share, metric_name, metric_value, short_layer
from narrower.report.record import Member
from narrower.searching.objective import unit_of
from narrower.searching.recorded_space import RecordedSpace
from narrower.searching.space_record import PlanTables

FEW = 200  # trials that are drawn larger than in a cloud of them
WIDE_RANGE = 30  # axes that span more than this factor are logarithmic


def front_figure(findings: Findings, cost: str) -> Figure:
    """Quality against one cost: every trial, uniform plans, and the front with its intervals."""
    quality, members = findings.quality, findings.members
    marked = _marked(findings)
    traces = [
        _other_trials(findings, cost),
        _front(findings, cost, members),
        _uniform_trials(findings, cost),
        _front_on_test(findings, cost),
        *_float32(findings, cost),
        *(_ring(findings, cost, *mark) for mark in marked),
    ]
    values = [findings.table.metrics[cost][row] for row in findings.others[:2000]]
    values += [member.metrics[cost] for member in members]
    positive = [float(value) for value in values if value > 0]
    is_wide = len(positive) == len(values) > 0 and max(positive) > WIDE_RANGE * min(positive)
    return Figure(
        f"{metric_name(quality)} against {metric_name(cost)}",
        tuple(trace for trace in traces if trace is not None),
        {
            "xaxis": {"title": {"text": _axis_title(cost)}, "type": "log" if is_wide else "linear"},
            "yaxis": {
                "title": {"text": _axis_title(quality)},
                "tickformat": ".0%" if is_share(quality) else "",
            },
            "annotations": [_label(findings, cost, is_wide, *mark) for mark in marked],
        },
        height=520,
    )


def _other_trials(findings: Findings, cost: str) -> dict[str, Any] | None:
    rows, table = findings.others, findings.table
    if len(rows) == 0:
        return None
    hidden = int(table.admitted.sum()) > len(rows) + len(findings.uniform) + len(findings.members)
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"other trials ({len(rows):,} at random)" if hidden else "other trials",
        "x": rounded(table.metrics[cost][rows].tolist()),
        "y": rounded(table.metrics[findings.quality][rows].tolist()),
        "customdata": table.numbers[rows].tolist(),
        "text_codes": {
            "words": [plot_texts(texts) for texts in _option_texts(table.space)],
            "rows": table.options[rows].tolist(),
        },
        "hovertemplate": f"trial %{{customdata:,}}<br>{_hover(findings.quality, 'y')}<br>"
        f"{_hover(cost, 'x')}<br>%{{text}}<extra></extra>",
        "marker": {"size": 4, "color": "var(--faint)", "opacity": 0.4}
        if len(rows) > FEW
        else {"size": 6, "color": "var(--faint)", "opacity": 0.8},
    }


def _option_texts(space: RecordedSpace) -> list[list[str]]:
    """The options of each slot; of slots that decide a layer together each names its operand."""
    together = {first + place for first, rule in space.joined.items() for place in range(len(rule.blocks[0]))}
    return [
        [(_operand_text if number in together else _option_text)(option) for option in slot]
        for number, slot in enumerate(space.slots)
    ]


def _option_text(option: PlanTables) -> str:
    return ", ".join(f"{layer} {short_layer(table)}" for layer, table in option.items()) or "unchanged"


def _operand_text(option: PlanTables) -> str:
    parts = (f"{layer} {name} {text}" for layer, table in option.items() for name, text in table.items())
    return ", ".join(parts) or "unchanged"


def _uniform_trials(findings: Findings, cost: str) -> dict[str, Any] | None:
    rows, table = [trial.row for trial in findings.uniform], findings.table
    if not rows:
        return None
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "same widths in every layer",
        "x": rounded(table.metrics[cost][rows].tolist()),
        "y": rounded(table.metrics[findings.quality][rows].tolist()),
        "customdata": table.numbers[rows].tolist(),
        "text": [trial.label for trial in findings.uniform],
        "hovertemplate": f"trial %{{customdata:,}}, same widths in every layer<br>%{{text}}<br>"
        f"{_hover(findings.quality, 'y')}<br>{_hover(cost, 'x')}<extra></extra>",
        "marker": {"size": 11, "symbol": "square-open", "color": "var(--warm)", "line": {"width": 1.8}},
    }


def _front(findings: Findings, cost: str, members: Sequence[Member]) -> dict[str, Any] | None:
    if not members:
        return None
    quality = findings.quality
    ordered = sorted(members, key=lambda member: member.metrics[cost])
    bars = [(findings.record.interval_of(member, quality), member.metrics[quality]) for member in ordered]
    has_bars = any(interval is not None for interval, _ in bars)
    trace: dict[str, Any] = {
        "type": "scatter",
        "mode": "markers",
        "name": "front (95 % interval)" if has_bars else "front",
        "x": [member.metrics[cost] for member in ordered],
        "y": [member.metrics[quality] for member in ordered],
        "text": [_member_text(findings, member) for member in ordered],
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {"size": 9, "color": "var(--accent)", "line": {"width": 1, "color": "var(--surface)"}},
    }
    if len(findings.record.objectives) == 2 and findings.record.sum_direction is None:  # noqa: PLR2004
        shape = "vh" if findings.is_larger_better(cost) else "hv"
        trace["mode"] = "lines+markers"
        trace["line"] = {"shape": shape, "color": "var(--accent)", "width": 1.5}
    if has_bars:
        trace["error_y"] = _interval_bars(bars, "var(--accent)")
    return trace


def _front_on_test(findings: Findings, cost: str) -> dict[str, Any] | None:
    tested = [
        (member, value, interval)
        for member in findings.members
        for value, interval in (findings.record.test_of(member, findings.quality),)
        if value is not None and interval is not None
    ]
    if not tested:
        return None
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "front on the test part (click)",
        "visible": "legendonly",
        "x": [member.metrics[cost] for member, _, _ in tested],
        "y": [value for _, value, _ in tested],
        "text": [_member_text(findings, member) for member, _, _ in tested],
        "hovertemplate": "%{text}<extra></extra>",
        "error_y": _interval_bars([(interval, value) for _, value, interval in tested], "var(--good)"),
        "marker": {"size": 9, "symbol": "diamond-open", "color": "var(--good)"},
    }


def _interval_bars(
    intervals: Sequence[tuple[tuple[float, float] | None, float]], colour: str
) -> dict[str, Any]:
    """Bars from value to ends; of an interval that is not known there is none."""
    ends = [(interval or (value, value), value) for interval, value in intervals]
    return {
        "type": "data",
        "symmetric": False,
        "array": [high - value for (_, high), value in ends],
        "arrayminus": [value - low for (low, _), value in ends],
        "thickness": 1.2,
        "width": 3,
        "color": colour,
    }


def _float32(findings: Findings, cost: str) -> list[dict[str, Any]]:
    """A line at the quality of the uncompressed model; its cost is usually far to the right."""
    value = findings.record.float32.get(findings.quality)
    shown = [findings.table.metrics[cost][row] for row in findings.others]
    shown += [member.metrics[cost] for member in findings.members]
    if value is None or not shown:
        return []
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "name": f"float32: {metric_value(findings.quality, value)}",
            "x": [float(min(shown)), float(max(shown))],
            "y": [value, value],
            "line": {"dash": "dash", "width": 1.4, "color": "var(--muted)"},
            "hoverinfo": "skip",
        }
    ]


def _marked(findings: Findings) -> list[tuple[Member, str, str]]:
    """The plan to take and the knee, with what is written beside them and its colour."""
    chosen, knee = findings.advice.chosen, findings.advice.knee
    if chosen is None:
        return []
    if knee is None or knee is chosen:
        return [(chosen, "take this" if knee is None else "take this, the knee", "var(--good)")]
    return [(chosen, "take this", "var(--good)"), (knee, "knee", "var(--violet)")]


def _ring(findings: Findings, cost: str, member: Member, label: str, colour: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"{label} (trial {member.number:,})",
        "x": [member.metrics[cost]],
        "y": [member.metrics[findings.quality]],
        "hoverinfo": "skip",
        "cliponaxis": False,
        "marker": {"size": 18, "symbol": "circle-open", "color": colour, "line": {"width": 2.4}},
    }


def _label(
    findings: Findings, cost: str, is_logarithmic: bool, member: Member, label: str, colour: str
) -> dict[str, Any]:
    """Words beside a ring, on a ground that hides the lines below; left of it unless the axis is there."""
    x, shown = member.metrics[cost], [other.metrics[cost] for other in findings.members]
    is_leftmost = x <= min(shown) + 0.12 * (max(shown) - min(shown))
    return {
        "text": f"<b>{label}</b>",
        "x": log10(x) if is_logarithmic else x,
        "y": member.metrics[findings.quality],
        "ax": 34 if is_leftmost else -34,
        "ay": -26,
        "xanchor": "left" if is_leftmost else "right",
        "showarrow": True,
        "arrowhead": 0,
        "arrowwidth": 1.4,
        "arrowcolor": colour,
        "standoff": 10,
        "font": {"color": colour},
        "bgcolor": "var(--surface)",
        "borderpad": 2,
    }


def _member_text(findings: Findings, member: Member) -> str:
    lines = [f"<b>trial {member.number:,}</b>, on the front"]
    leading, value = findings.record.metric.name, findings.record.value(member)
    reach = f" ({interval_text(leading, member.interval)} with 95 %)" if member.interval else ""
    lines.append(f"{plot_text(metric_name(leading))} {metric_value(leading, value)}{reach}")
    if member.test_value is not None:
        lines.append(f"on the test part {metric_value(leading, member.test_value)}")
    for name in (o["metric"] for o in findings.record.objectives if o["metric"] != leading):
        interval = member.intervals.get(name)
        reach = f" ({interval_text(name, interval)} with 95 %)" if interval else ""
        lines.append(f"{plot_text(metric_name(name))} {metric_value(name, member.metrics[name])}{reach}")
        if name in member.on_test:
            lines.append(f"on the test part {metric_value(name, member.on_test[name])}")
    layers = [f"{plot_text(layer)} {short_layer(table)}" for layer, table in findings.plan(member).items()]
    per_line = max(1, -(-len(layers) // 14))  # the float model has no layer to tell of
    lines += [", ".join(layers[start : start + per_line]) for start in range(0, len(layers), per_line)]
    return "<br>".join(lines)


def _axis_title(metric: str) -> str:
    unit = unit_of(metric)
    return plot_text(f"{metric_name(metric)}, {unit}" if unit else metric_name(metric))


def _hover(metric: str, axis: str) -> str:
    return f"{plot_text(metric_name(metric))} %{{{axis}:{'.1%' if is_share(metric) else ',.5~g'}}}"
