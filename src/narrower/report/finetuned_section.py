"""What training plans in their number formats changed: the front before and after, side by side."""

from narrower.report.curve_figures import curve_figures
from narrower.report.curves import Curve
from narrower.report.finetuned import columns, read_finetuned, rows, summary_lines
from narrower.report.page import Section, Table
from narrower.report.plan_text import short_plan
from narrower.store.run_directory import RunDirectory


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
        figures=curve_figures(
            record.metric,
            [Curve(m.number, m.epochs, True, m.before[record.metric]) for m in record.front],
        ),
        tables=(
            Table(
                names,
                tuple(tuple(str(cell) for cell in row) for row in shown),
                tuple(name not in ("front", "plan", "95 %") for name in names),
                marked,
            ),
        ),
    )
