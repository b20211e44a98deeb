"""How loss and leading metric of plans changed with the steps, on the samples that score, drawn."""

from collections.abc import Sequence
from typing import Any

from narrower.report.curves import Curve
from narrower.report.page import Figure, plot_text, rounded

MOST_CURVES = 40  # plans whose training is drawn
MOST_NAMED = 12  # more names do not fit beside a plot


def curve_figures(metric: str, curves: Sequence[Curve]) -> tuple[Figure, ...]:
    """At step 0 the metric is that with the model's weights: what is reached without training."""
    shown = [curve for curve in curves if curve.epochs][:MOST_CURVES]
    if not shown:
        return ()
    kinds = (
        ("loss", "loss on the samples that score", [[(e.step, e.loss) for e in c.epochs] for c in shown]),
        (
            metric,
            f"{metric} on the samples that score",
            [
                [
                    *([] if curve.untrained is None else [(0, curve.untrained)]),
                    *((epoch.step, epoch.value) for epoch in curve.epochs),
                ]
                for curve in shown
            ],
        ),
    )
    figures = []
    for name, title, lines in kinds:
        traces: list[dict[str, Any]] = [
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": f"trial {curve.number}",
                "x": [step for step, _ in points],
                "y": rounded([value for _, value in points]),
                "marker": {"size": 4},
                "hovertemplate": f"trial {curve.number}: {plot_text(name)} %{{y:.4f}} after %{{x:,}} steps"
                "<extra></extra>",
            }
            for curve, points in zip(shown, lines, strict=True)
        ]
        layout = {
            "xaxis": {"title": {"text": "steps"}, "rangemode": "tozero"},
            "yaxis": {"title": {"text": plot_text(title)}},
            "showlegend": len(shown) <= MOST_NAMED,
        }
        figures.append(Figure(f"{name} over steps of training", tuple(traces), layout, height=340))
    return tuple(figures)
