"""Widths, effects, costs and growth of the front as Plotly figures."""

from collections.abc import Sequence
from itertools import product
from math import log2
from typing import Any

from narrower.report.findings import Findings
from narrower.report.page import Figure, plot_text, plot_texts, rounded
from narrower.report.plan_text import effect_scale, is_share, metric_name
from narrower.report.sensitivity import Effect

MOST_EFFECTS = 40
SCALE = [[position / 4, f"var(--scale-{position})"] for position in range(5)]
ASPECT_TITLES = {
    "data": "data, bits",
    "weight": "weight, bits",
    "bias": "bias, bits",
    "width": "multiplier of the width",
}
LEVEL_COLOURS = (
    "var(--warm)",
    "var(--violet)",
    "var(--accent)",
    "var(--good)",
    "var(--faint)",
    "var(--text)",
)
LEVEL_MARKERS = tuple(product(("circle", "square", "diamond"), LEVEL_COLOURS))


def width_figures(findings: Findings) -> tuple[Figure, ...]:
    """For each aspect that there was to choose: layers by members of the front, coloured by bits."""
    members = findings.members
    if not members:
        return ()
    options = findings.table.space.options([member.plan_index for member in members])
    figures = []
    for aspect, title in ASPECT_TITLES.items():
        features = [feature for feature in findings.features if feature.aspect == aspect][::-1]
        if not features:
            continue
        sizes = [
            [feature.sizes[feature.level_of[option]] for option in options[:, feature.slot]]
            for feature in features
        ]
        known = [size for row in sizes for size in row]
        layers = plot_texts([feature.name.removesuffix(f".{aspect}") for feature in features])
        numbers = [f"{member.number:,}" for member in members]
        figures.append(
            Figure(
                title,
                (
                    {
                        "type": "heatmap",
                        "z": [[log2(size) for size in row] for row in sizes],
                        "x": numbers,
                        "y": layers,
                        "text": [[f"{size:g}" for size in row] for row in sizes],
                        "texttemplate": "%{text}" if len(members) <= 20 else "",  # noqa: PLR2004 - what fits
                        "hovertemplate": f"trial %{{x}}<br>%{{y}}<br>{title} %{{text}}<extra></extra>",
                        "colorscale": SCALE,
                        "zmin": min(0.0 if aspect != "width" else log2(min(known)), log2(min(known))),
                        "zmax": max(3.0 if aspect != "width" else log2(max(known)), log2(max(known))),
                        "showscale": False,
                        "xgap": 2,
                        "ygap": 2,
                    },
                ),
                {
                    "xaxis": {
                        "type": "category",
                        "tickangle": -60,
                        "title": {"text": "trial (worst first)"},
                    },
                    "yaxis": {"type": "category", "showgrid": False},
                },
                height=110 + max(30 * len(features), 90) if len(features) < 20 else 110 + 18 * len(features),  # noqa: PLR2004
            )
        )
    return tuple(figures)


def hypervolume_figures(findings: Findings) -> tuple[Figure, ...]:
    """How the share of the final hypervolume grew with trials and with time."""
    curve = findings.curve
    if curve is None or len(curve.values) == 0 or curve.values[-1] <= 0:
        return ()
    shares = rounded(curve.shares.tolist())
    axes: tuple[tuple[str, str, str, list[float | None]], ...] = (
        ("trials", "trials", "trials", [0, *curve.trials.tolist()]),
        ("time", "s", "seconds since the search began", [0, *rounded(curve.seconds.tolist())]),
    )
    return tuple(
        Figure(
            f"hypervolume over {name}",
            (
                {
                    "type": "scatter",
                    "mode": "lines",
                    "x": values,
                    "y": [0, *shares],
                    "line": {"shape": "hv", "color": "var(--accent)", "width": 2},
                    "fill": "tozeroy",
                    "fillcolor": "var(--accent-soft)",
                    "hovertemplate": f"%{{y:.1%}} after %{{x:,.6~g}} {unit}<extra></extra>",
                },
            ),
            {
                "xaxis": {"title": {"text": title}, "rangemode": "tozero"},
                "yaxis": {"tickformat": ".0%", "range": [0, 1.05], "title": {"text": "of the last value"}},
                "showlegend": False,
            },
            height=320,
        )
        for name, unit, title, values in axes
    )


def sensitivity_figure(findings: Findings) -> Figure | None:
    """One row for each choice: the mean change of the leading metric at each level."""
    effects = findings.sensitivity.effects[:MOST_EFFECTS][::-1]
    if not effects:
        return None
    metric = findings.record.metric.name
    scale, unit = effect_scale(metric)
    names = plot_texts([effect.feature.name for effect in effects])
    sizes = sorted({label for effect in effects for label in effect.labels}, key=_number_first)
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": [
                value
                for effect in effects
                for value in (scale * min(effect.effects), scale * max(effect.effects), None)
            ],
            "y": [value for name in names for value in (name, name, None)],
            "line": {"color": "var(--line)", "width": 3},
            "hoverinfo": "skip",
            "showlegend": False,
        }
    ]
    traces += [
        _level_trace(metric, effects, names, label, *LEVEL_MARKERS[position % len(LEVEL_MARKERS)])
        for position, label in enumerate(sizes)
    ]
    return Figure(
        f"mean change of the {metric_name(metric)} by choice",
        tuple(traces),
        {
            "xaxis": {
                "title": {"text": f"{metric_name(metric)}, {unit}" if unit else metric_name(metric)},
                "zeroline": True,
            },
            "yaxis": {"type": "category", "categoryarray": names, "categoryorder": "array"},
            "legend": {
                "orientation": "h",
                "yanchor": "bottom",
                "y": 1.01,
                "x": 0,
                "title": {"text": "value: "},
            },
        },
        height=120 + 26 * len(effects),
    )


def _level_trace(
    metric: str, effects: Sequence[Effect], names: Sequence[str], label: str, symbol: str, colour: str
) -> dict[str, Any]:
    scale, unit = effect_scale(metric)
    form, digits = ("+.2f", 3) if is_share(metric) else ("+.3~g", 9)
    amount = "points" if is_share(metric) else unit
    found = [
        (
            name,
            effect.effects[effect.labels.index(label)],
            effect.trials[effect.labels.index(label)],
            effect.labels[-1],
        )
        for name, effect in zip(names, effects, strict=True)
        if label in effect.labels
    ]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": plot_text(label),
        "x": [round(scale * value, digits) for _, value, _, _ in found],
        "y": [name for name, _, _, _ in found],
        "text": [f"{plot_text(label)} instead of {plot_text(largest)}" for _, _, _, largest in found],
        "customdata": [trials for _, _, trials, _ in found],
        "hovertemplate": f"%{{y}}: %{{text}}<br>%{{x:{form}}} {amount} on average<br>"
        "%{customdata:,} trials<extra></extra>",
        "marker": {
            "size": 11,
            "color": colour,
            "symbol": symbol,
            "line": {"width": 1, "color": "var(--surface)"},
        },
    }


def _number_first(label: str) -> tuple[float, str]:
    try:
        return float(label), label
    except ValueError:
        return float("inf"), label


def layer_figures(findings: Findings) -> tuple[Figure, ...]:
    """Where the bit operations and the bytes of the plan to take (and of the knee) go, layer by layer."""
    advice = findings.advice
    members = [
        (m, name, c)
        for m, name, c in (
            (advice.knee, "knee", "var(--violet)"),
            (advice.chosen, "plan to take", "var(--accent)"),
        )
        if m is not None
    ]
    if advice.knee is not None and advice.chosen is not None and advice.knee.number == advice.chosen.number:
        members = members[1:]
    figures = []
    for title, unit, costs in (
        ("bit operations by layer", "bitops per sample", [m.layer_bitops for m, _, _ in members]),
        ("parameters by layer", "bytes", [m.layer_bytes for m, _, _ in members]),
    ):
        known = [
            (each, m, name, c) for each, (m, name, c) in zip(costs, members, strict=True) if each is not None
        ]
        layers = [
            row.layer for row in findings.record.layers if any(each.get(row.layer) for each, *_ in known)
        ][::-1]
        if not layers:
            continue
        figures.append(
            Figure(
                title,
                tuple(
                    {
                        "type": "bar",
                        "orientation": "h",
                        "name": f"{name} (trial {member.number:,})",
                        "x": [each[layer] for layer in layers],
                        "y": plot_texts(layers),
                        "hovertemplate": f"%{{y}}: %{{x:,.6~g}} {unit}<extra>{name}</extra>",
                        "marker": {"color": colour},
                    }
                    for each, member, name, colour in known
                ),
                {
                    "barmode": "group",
                    "bargap": 0.3,
                    "xaxis": {"title": {"text": unit}},
                    "yaxis": {"type": "category"},
                    "legend": {
                        "orientation": "h",
                        "yanchor": "bottom",
                        "y": 1.01,
                        "x": 0,
                        "traceorder": "reversed",
                    },
                },
                height=140 + 40 * len(layers) if len(layers) < 12 else 140 + 26 * len(layers),  # noqa: PLR2004
            )
        )
    return tuple(figures)
