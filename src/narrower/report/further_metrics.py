"""What members reach in all metrics but the leading one, with intervals, as a table of the report."""

from collections.abc import Sequence

from narrower.report.page import Table
from narrower.report.plan_text import metric_name, objective_text
from narrower.report.record import Member, RunRecord


def further_table(record: RunRecord, members: Sequence[Member]) -> Table | None:
    """A row for each member and below them float32; None where there are no further metrics."""
    names, floats, bounds = record.further, record.float32, record.float32_intervals
    if not names:
        return None
    rows = [
        (
            f"trial {member.number:,}",
            *(
                cell
                for name in names
                for cell in (
                    _cell(name, member.metrics.get(name), member.intervals.get(name)),
                    _cell(name, *record.test_of(member, name)),
                )
            ),
        )
        for member in members
    ]
    keys = [(name, key) for name in names for key in (name, f"test_{name}")]
    rows.append(("float32", *(_cell(name, floats.get(key), bounds.get(key)) for name, key in keys)))
    header = [text for name in names for text in (f"{metric_name(name)} (95 %)", "on the test part (95 %)")]
    found = {record.interval_notes[name] for name in names if name in record.interval_notes}
    return Table(
        ("plan", *header),
        tuple(rows),
        (False, *(True for _ in header)),
        caption=f"How intervals on the samples of the search were found: {'; '.join(sorted(found))}."
        if found
        else "",
    )


def _cell(name: str, value: float | None, interval: tuple[float, float] | None) -> str:
    return "–" if value is None else objective_text(name, value, interval)
