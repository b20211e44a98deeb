"""A front as a small picture and a table, in HTML without scripts: what a notebook shows of a search."""

from collections.abc import Sequence
from html import escape

from narrower.report.plan_text import interval_text, metric_name, metric_value, plan_line
from narrower.report.record import Member, RunRecord
from narrower.report.small_picture import member_point, small_picture
from narrower.searching.objective import is_quality

MOST_ROWS = 12


def small_front(record: RunRecord) -> str:
    """HTML: quality against the first cost, with what each point is, and the members as a table."""
    names = [o["metric"] for o in record.objectives]
    costs = [name for name in names if not is_quality(name)]
    heading = escape(
        f"{record.model} on {record.data_set}: {len(record.members)} plans on the front, "
        f"{record.summary.completeness}, {record.sampler}"
    )
    leading, picture = record.metric.name, ""
    if costs and record.members:
        axes = costs[0], leading
        points = [member_point(m.number, m.metrics, m.plan, axes) for m in record.members]
        picture = small_picture(points, *axes)
    return f"<div><p>{heading}</p>{picture}{_table(record, names)}</div>"


def _table(record: RunRecord, names: Sequence[str]) -> str:
    def cells(member: Member) -> list[str]:
        interval = member.interval
        leading = record.metric.name
        reach = f" ({interval_text(leading, interval)})" if interval is not None else ""
        return [
            f"{member.number:,}",
            *(
                metric_value(name, member.metrics[name]) + (reach if name == leading else "")
                for name in names
            ),
            plan_line(member.plan),
        ]

    head = "".join(f"<th>{escape(name)}</th>" for name in ("trial", *map(metric_name, names), "plan"))
    rows = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells(member))}</tr>"
        for member in record.members[:MOST_ROWS]
    )
    left = len(record.members) - MOST_ROWS
    more = f"<p>and {left} more: .front has all</p>" if left > 0 else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{more}"
