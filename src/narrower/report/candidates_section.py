"""How the members of a front were trained before they were scored, and what they have without it."""

from narrower.report.curve_figures import curve_figures
from narrower.report.curves import read_curves
from narrower.report.page import Section, Table
from narrower.store.run_directory import RunDirectory


def candidates_section(run: RunDirectory) -> Section | None:
    """None where no candidates were trained in their number formats."""
    record = read_curves(run)
    if record is None:
        return None
    members = [curve for curve in record.curves if curve.is_member]
    rows = tuple(
        (
            str(curve.number),
            "" if curve.untrained is None else f"{curve.untrained:.4f}",
            f"{curve.epochs[-1].value:.4f}",
            f"{curve.epochs[-1].step:,}",
        )
        for curve in members
        if curve.epochs
    )
    return Section(
        "Trained in number formats",
        (
            f"Each of {len(record.curves):,} candidates was trained before it was scored; "
            "curves.json says how "
            f"each did. Of the members of the front: {record.metric} on the samples that score, with the "
            "model's own weights, rounded, and after training, as it looked at them.",
        ),
        figures=curve_figures(record.metric, members),
        tables=(
            Table(
                ("number", f"{record.metric} without training", f"{record.metric} after", "steps"),
                rows,
                (True, True, True, True),
            ),
        ),
    )
