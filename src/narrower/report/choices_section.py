"""Plans as lines across their choices, and which choices tell the best plans from the others."""

from collections.abc import Sequence
from typing import Any

from narrower.report.findings import Findings
from narrower.report.page import Figure, Section, plot_text, plot_texts
from narrower.report.plan_text import metric_name, metric_value, percent

MOST_AXES, MOST_LINES, MOST_BARS = 14, 300, 20


def parallel_section(findings: Findings) -> Section | None:
    """Every choice and objective an axis, every plan a line."""
    features = _shown_features(findings)
    if len(features) < 2 or not findings.members:  # noqa: PLR2004 - one axis shows no lines
        return None
    left_out = len(findings.features) - len(features)
    return Section(
        "Plans across their choices",
        (
            "One row for each choice, from the fewest bits on the left to the most, then the objectives, the "
            "better end on the right. Blue lines are plans of the front, grey ones other trials. Where the "
            "blue lines meet, the front agrees."
            + (f" The {left_out} choices that vary least on the front are left out." if left_out else ""),
        ),
        (_parallel(findings, features),),
    )


def importance_section(findings: Findings) -> Section | None:
    """The shares of PED-ANOVA, and what they do not say."""
    shown = findings.importance[:MOST_BARS]
    if not shown:
        return None
    name = metric_name(findings.record.metric.name)
    names = plot_texts([feature for feature, _ in shown])[::-1]
    values = [round(share, 6) for _, share in shown][::-1]
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": values,
        "y": names,
        "marker": {"color": "var(--accent)"},
        "hovertemplate": "%{y}: %{x:.1%}<extra></extra>",
    }
    return Section(
        "Which choices matter for good plans",
        (
            "PED-ANOVA: how much the options of a choice differ between the best tenth of the trials by "
            f"{name} and all trials, as shares of the whole. {shown[0][0]} tells most, "
            f"{percent(shown[0][1])}.",
            "It says where good plans lie, not how much is won, and sees each choice alone: two choices that "
            "matter only together may both look unimportant. Trials that a sampler chose are no random "
            "sample; after brute_force, grid or random the shares are most to be trusted.",
        ),
        (
            Figure(
                f"share in telling the best tenth by {name}",
                (bars,),
                {"xaxis": {"tickformat": ".0%", "rangemode": "tozero"}, "showlegend": False},
                height=90 + 26 * len(shown),
            ),
        ),
    )


def _shown_features(findings: Findings) -> list[Any]:
    """The choices in the order of the network; of many those that vary most on the front."""
    features = list(findings.features)
    if len(features) <= MOST_AXES or not findings.members:
        return features[:MOST_AXES]
    options = findings.table.space.options([member.plan_index for member in findings.members])
    varied = sorted(
        range(len(features)),
        key=lambda n: (
            -len({features[n].level_of[option] for option in options[:, features[n].slot].tolist()})
        ),
    )
    return [features[number] for number in sorted(varied[:MOST_AXES])]


def _parallel(findings: Findings, features: Sequence[Any]) -> Figure:
    axes = [feature.name for feature in features]
    axes += [metric_name(objective["metric"]) for objective in findings.record.objectives]
    rows = findings.others[:: max(1, -(-len(findings.others) // MOST_LINES))].tolist()
    members = [findings.table.position[member.number] for member in findings.members]
    heights = _heights(findings, features, (*rows, *members))
    places = list(range(len(axes)))
    others = [_lines_of_others([heights[row] for row in rows], places)] if rows else []
    of_front = [
        _line_of_member(findings, features, row, heights[row], places) | {"showlegend": number == 0}
        for number, row in enumerate(members)
    ]
    return Figure(
        "choices and objectives of each plan",
        (*others, *of_front),
        {
            "yaxis": {"tickvals": places, "ticktext": plot_texts(axes), "range": [len(axes) - 0.5, -0.5]},
            "xaxis": {
                "tickvals": [0, 1],
                "ticktext": ["fewest, worst", "most, best"],
                "range": [-0.05, 1.05],
            },
        },
        height=150 + 36 * len(axes),
    )


def _heights(findings: Findings, features: Sequence[Any], rows: Sequence[int]) -> dict[int, list[float]]:
    """Where each plan's line crosses the axes, from 0 to 1."""
    found: dict[int, list[float]] = {}
    for row in rows:
        options = findings.table.options[row].tolist()
        found[row] = [
            feature.level_of[options[feature.slot]] / (len(feature.levels) - 1) for feature in features
        ]
    for objective in findings.record.objectives:
        name = objective["metric"]
        values = {row: float(findings.table.metrics[name][row]) for row in rows}
        low, high = min(values.values()), max(values.values())
        for row, value in values.items():
            found[row].append(_height(value, low, high, findings.is_larger_better(name)))
    return {row: [round(height, 3) for height in heights] for row, heights in found.items()}


def _lines_of_others(heights: Sequence[list[float]], places: list[int]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "other trials",
        "x": [x for line in heights for x in (*line, None)],
        "y": [*places, None] * len(heights),
        "hoverinfo": "skip",
        "line": {"color": "var(--faint)", "width": 1},
        "opacity": 0.25,
    }


def _line_of_member(
    findings: Findings, features: Sequence[Any], row: int, heights: list[float], places: list[int]
) -> dict[str, Any]:
    options = findings.table.options[row].tolist()
    words = [f"{each.name} {each.labels[each.level_of[options[each.slot]]]}" for each in features]
    words += [
        f"{metric_name(name)} {metric_value(name, float(findings.table.metrics[name][row]))}"
        for name in (objective["metric"] for objective in findings.record.objectives)
    ]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": "front",
        "legendgroup": "front",
        "x": heights,
        "y": places,
        "text": [plot_text(word) for word in words],
        "hovertemplate": f"trial {int(findings.table.numbers[row]):,}<br>%{{text}}<extra></extra>",
        "line": {"color": "var(--accent)", "width": 1.5},
        "marker": {"size": 5, "color": "var(--accent)"},
    }


def _height(value: float, low: float, high: float, is_larger_better: bool) -> float:
    if high == low:
        return 0.5
    share = (value - low) / (high - low)
    return share if is_larger_better else 1 - share
