"""The page of a run that is being searched, and the part of it that changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

import jinja2

from narrower.report.plan_text import metric_name, metric_value, plan_line
from narrower.report.small_picture import Point, member_point, small_picture

MOST_ROWS = 20


@dataclass(frozen=True, slots=True)
class LiveMember:
    """One trial on the front so far: its number, its metrics, and its plan."""

    number: int
    metrics: Mapping[str, float]
    plan: Mapping[str, Mapping[str, str | float]]


def live_page(title: str, fragment: str, nonce: str) -> str:
    """The whole page; ``nonce`` is what lets its own script run, and no other."""
    style = (files("narrower.report") / "page.css").read_text(encoding="utf-8")
    return _template("live.html.jinja").render(title=title, fragment=fragment, nonce=nonce, style=style)


def live_fragment(
    state: str,
    objectives: Sequence[str],
    axes: tuple[str, str],
    members: Sequence[LiveMember],
    others: Sequence[Point],
    log: Sequence[str],
) -> str:
    """What changes: how far the search is, its front as a picture and a table, the last lines of its log.

    ``axes`` are the cost across and the quality upwards.
    """
    points = [*others, *(member_point(m.number, m.metrics, m.plan, axes) for m in members)]
    rows = [
        [f"{m.number:,}", *(metric_value(name, m.metrics[name]) for name in objectives), plan_line(m.plan)]
        for m in members[:MOST_ROWS]
    ]
    return _template("live_fragment.html.jinja").render(
        state=state,
        picture=small_picture(points, *axes) if points else "",
        columns=["trial", *map(metric_name, objectives), "plan"],
        rows=rows,
        more=len(members) - len(rows),
        log=log,
    )


def _template(name: str) -> jinja2.Template:
    loader = jinja2.PackageLoader("narrower.report", "")
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.get_template(name)
