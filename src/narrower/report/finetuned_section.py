"""What training plans in their number formats changed: the front before and after, side by side."""

from typing import Any

from narrower.report.finetuned import FinetunedRecord, columns, read_finetuned, rows, summary_lines
from narrower.report.page import Figure, Section, Table, plot_text, rounded
from narrower.report.plan_text import short_plan
from narrower.store.run_directory import RunDirectory

MOST_CURVES = 40  # members of the front whose training is drawn
MOST_NAMED = 12  # more names do not fit beside a plot


def finetuned_section(run: RunDirectory) -> Section | None:
    """None where nothing was trained after the search."""
    record = read_finetuned(run)
    if record is None:
        return None
    names = columns(record)
    shown = rows(record, short_plan)
    marked = frozenset(number for number, row in enumerate(shown) if "after" in str(row[-2]))
    return Section(
        "Trained in number formats",
        tuple(f"{line[0].upper()}{line[1:]}." for line in summary_lines(record)),
        figures=curve_figures(record),
        tables=(
            Table(
                names,
                tuple(tuple(str(cell) for cell in row) for row in shown),
                tuple(name not in ("front", "plan", "95 %") for name in names),
                marked,
            ),
        ),
    )


def curve_figures(record: FinetunedRecord) -> tuple[Figure, ...]:
    """How loss and leading metric of the front's members changed with the steps, on the samples that score.

    At step 0 the metric is that with the float model's weights: what is reached without training.
    """
    shown = [member for member in record.front if member.epochs][:MOST_CURVES]
    if not shown:
        return ()
    kinds = (
        ("loss", "loss on the samples that score", [[(e.step, e.loss) for e in m.epochs] for m in shown]),
        (
            record.metric,
            f"{record.metric} on the samples that score",
            [[(0, m.before[record.metric]), *((e.step, e.value) for e in m.epochs)] for m in shown],
        ),
    )
    figures = []
    for name, title, curves in kinds:
        traces: list[dict[str, Any]] = [
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": f"trial {member.number}",
                "x": [step for step, _ in points],
                "y": rounded([value for _, value in points]),
                "marker": {"size": 4},
                "hovertemplate": f"trial {member.number}: {plot_text(name)} %{{y:.4f}} after %{{x:,}} steps"
                "<extra></extra>",
            }
            for member, points in zip(shown, curves, strict=True)
        ]
        layout = {
            "xaxis": {"title": {"text": "steps"}, "rangemode": "tozero"},
            "yaxis": {"title": {"text": plot_text(title)}},
            "showlegend": len(shown) <= MOST_NAMED,
        }
        figures.append(Figure(f"{name} over steps of training", tuple(traces), layout, height=340))
    return tuple(figures)
