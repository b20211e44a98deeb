"""Quality against a cost as a small picture in SVG, without scripts: hovering says what a point is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import log10

from narrower.report.plan_text import metric_name, metric_value, plan_line

WIDTH, HEIGHT, LEFT, BOTTOM, EDGE = 560, 260, 64, 40, 14
WIDE_RANGE = 30  # values that span more than this factor are on a logarithmic axis


@dataclass(frozen=True, slots=True)
class Point:
    """One plan: its cost, its quality, what is said of it; those of the front are drawn over the others."""

    cost: float
    quality: float
    words: str
    is_on_front: bool = True


def member_point(
    number: int,
    metrics: Mapping[str, float],
    plan: Mapping[str, Mapping[str, str | float]],
    axes: tuple[str, str],
) -> Point:
    """A member of a front: what it measures and is; ``axes`` are the cost across and the quality upwards."""
    values = [f"{metric_name(name)} {metric_value(name, value)}" for name, value in metrics.items()]
    cost, quality = axes
    words = "\n".join([f"trial {number:,}", *values, plan_line(plan)])
    return Point(metrics[cost], metrics[quality], words)


def small_picture(points: Sequence[Point], cost: str, quality: str) -> str:
    """An SVG of some points (one or more), with the smallest and largest value of both metrics."""
    ordered = sorted(points, key=lambda point: (point.is_on_front, point.cost))
    x = _places([point.cost for point in ordered], LEFT, WIDTH - EDGE)
    y = _places([point.quality for point in ordered], HEIGHT - BOTTOM, EDGE)
    placed = list(zip(ordered, x, y, strict=True))
    line = " ".join(f"{a:.1f},{b:.1f}" for point, a, b in placed if point.is_on_front)
    names = f"{metric_name(quality)} against {metric_name(cost)}"
    across = _ends(x, [point.cost for point in ordered])
    up = _ends(y, [point.quality for point in ordered])
    words = (
        *((place, HEIGHT - 22, "middle", metric_value(cost, end)) for place, end in across),
        ((LEFT + WIDTH) / 2, HEIGHT - 6, "middle", names),
        *((LEFT - 8, place + 4, "end", metric_value(quality, end)) for place, end in up),
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" '
        f'aria-label="{escape(names)}" style="max-width:100%;height:auto;font:12px sans-serif">'
        f'<path d="M{LEFT},{EDGE}V{HEIGHT - BOTTOM + 6}H{WIDTH}" fill="none" stroke="#9aa1ab"></path>'
        f'<polyline points="{line}" fill="none" stroke="#0b62c4" stroke-opacity="0.4"></polyline>'
        f"{''.join(_circle(*each) for each in placed)}{''.join(_text(*each) for each in words)}</svg>"
    )


def _circle(point: Point, x: float, y: float) -> str:
    size, colour = (5, "#0b62c4") if point.is_on_front else (3, "#9aa1ab")
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size}" fill="{colour}">'
        f"<title>{escape(point.words)}</title></circle>"
    )


def _places(values: Sequence[float], first: float, last: float) -> list[float]:
    """Places of values between two ends; the smallest near the first, or all in the middle."""
    low, high = min(values), max(values)
    if low > 0 and high > WIDE_RANGE * low:
        values = [log10(value) for value in values]
        low, high = min(values), max(values)
    if high == low:
        return [(first + last) / 2 for _ in values]
    return [first + (last - first) * (0.04 + 0.92 * (value - low) / (high - low)) for value in values]


def _ends(places: Sequence[float], values: Sequence[float]) -> list[tuple[float, float]]:
    """Place and value of the smallest and the largest."""
    pairs = sorted(zip(values, places, strict=True))
    ends = [pairs[0], pairs[-1]] if pairs[0][0] != pairs[-1][0] else [pairs[0]]
    return [(place, value) for value, place in ends]


def _text(x: float, y: float, anchor: str, words: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="currentColor">{escape(words)}</text>'
