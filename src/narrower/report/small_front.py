"""A front as a small picture and a table, in HTML without scripts: what a notebook shows of a search."""

from collections.abc import Sequence
from html import escape
from math import log10

from narrower.report.plan_text import interval_text, metric_name, metric_value, short_layer
from narrower.report.record import Member, RunRecord
from narrower.searching.objective import is_quality

WIDTH, HEIGHT, LEFT, BOTTOM, EDGE = 560, 260, 64, 40, 12
MOST_ROWS = 12
WIDE_RANGE = 30  # costs that span more than this factor are on a logarithmic axis


def small_front(record: RunRecord) -> str:
    """HTML: quality against the first cost, with what each point is, and the members as a table."""
    names = [o["metric"] for o in record.objectives]
    costs = [name for name in names if not is_quality(name)]
    heading = escape(
        f"{record.model} on {record.data_set}: {len(record.members)} plans on the front, "
        f"{record.summary.completeness}, {record.sampler}"
    )
    picture = _picture(record, costs[0]) if costs and record.members else ""
    return f"<div><p>{heading}</p>{picture}{_table(record, names)}</div>"


def _picture(record: RunRecord, cost: str) -> str:
    quality = record.metric.name
    members = sorted(record.members, key=lambda member: member.metrics[cost])
    x = _scale([member.metrics[cost] for member in members], LEFT, WIDTH - EDGE)
    y = _scale([record.value(member) for member in members], HEIGHT - BOTTOM, EDGE)
    points = [
        f'<circle cx="{a:.1f}" cy="{b:.1f}" r="5" fill="#0b62c4"><title>{_words(member)}</title></circle>'
        for member, a, b in zip(members, x, y, strict=True)
    ]
    line = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    ends = (
        _text(LEFT, HEIGHT - 22, "start", metric_value(cost, members[0].metrics[cost])),
        _text(WIDTH - EDGE, HEIGHT - 22, "end", metric_value(cost, members[-1].metrics[cost])),
        _text((LEFT + WIDTH) / 2, HEIGHT - 6, "middle", metric_name(cost)),
        *(
            _text(LEFT - 8, place + 4, "end", metric_value(quality, value))
            for place, value in _ends(y, [record.value(member) for member in members])
        ),
        _text(LEFT, EDGE - 1, "end", metric_name(quality)),
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" '
        f'aria-label="{escape(metric_name(quality))} against {escape(metric_name(cost))}" '
        'style="max-width:100%;font:12px sans-serif">'
        f'<path d="M{LEFT},{EDGE}V{HEIGHT - BOTTOM + 6}H{WIDTH}" fill="none" stroke="#9aa1ab"/>'
        f'<polyline points="{line}" fill="none" stroke="#0b62c4" stroke-opacity="0.4"/>'
        f"{''.join(points)}{''.join(ends)}</svg>"
    )


def _scale(values: Sequence[float], first: float, last: float) -> list[float]:
    """Places of values between two ends; the smallest at the first, or all in the middle."""
    low, high = min(values), max(values)
    if low > 0 and high > WIDE_RANGE * low:
        values = [log10(value) for value in values]
        low, high = min(values), max(values)
    if high == low:
        return [(first + last) / 2 for _ in values]
    return [first + (last - first) * (0.04 + 0.92 * (value - low) / (high - low)) for value in values]


def _ends(places: Sequence[float], values: Sequence[float]) -> list[tuple[float, float]]:
    pairs = sorted(zip(places, values, strict=True))
    return [pairs[0], pairs[-1]] if pairs[0] != pairs[-1] else [pairs[0]]


def _text(x: float, y: float, anchor: str, words: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="currentColor">{escape(words)}</text>'


def _words(member: Member) -> str:
    values = [f"{metric_name(name)} {metric_value(name, value)}" for name, value in member.metrics.items()]
    return escape("\n".join([f"trial {member.number:,}", *values, _plan(member)]))


def _plan(member: Member) -> str:
    return ", ".join(f"{layer} {short_layer(table)}" for layer, table in member.plan.items()) or "unchanged"


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
            _plan(member),
        ]

    head = "".join(f"<th>{escape(name)}</th>" for name in ("trial", *map(metric_name, names), "plan"))
    rows = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells(member))}</tr>"
        for member in record.members[:MOST_ROWS]
    )
    left = len(record.members) - MOST_ROWS
    more = f"<p>and {left} more: .front has all</p>" if left > 0 else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{more}"
