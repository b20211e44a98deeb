"""The front as a Markdown table."""

from collections.abc import Iterator

from narrower.report.plan_text import metric_name, objective_text, short_plan, with_interval
from narrower.report.record import RunRecord


def front_markdown(record: RunRecord) -> Iterator[str]:
    """Lines of a table in the form of GitHub; user text is escaped."""
    leading = record.metric.name
    names = [o["metric"] for o in record.objectives if o["metric"] != leading]
    columns = [
        "trial",
        f"{metric_name(leading)} (95 %)",
        f"test {metric_name(leading)} (95 %)",
        *(metric_name(name) for name in names),
        *(f"test {metric_name(name)} (95 %)" for name in record.with_intervals),
        "data/weight/bias bits",
    ]
    yield _line(columns)
    yield _line(["---:"] * (len(columns) - 1) + ["---"], escape=False)
    for member in record.members:
        yield _line(
            [
                str(member.number),
                with_interval(leading, record.value(member), member.interval),
                with_interval(leading, member.test_value, member.test_interval),
                *(objective_text(name, member.metrics[name], member.intervals.get(name)) for name in names),
                *(
                    with_interval(name, member.on_test.get(name), member.on_test_intervals.get(name))
                    for name in record.with_intervals
                ),
                short_plan(member.plan),
            ]
        )


def _line(cells: list[str], *, escape: bool = True) -> str:
    return "| " + " | ".join(_escaped(cell) if escape else cell for cell in cells) + " |"


def _escaped(text: str) -> str:
    for character in "\\`*_|[]":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.replace("&", "&amp;").replace("<", "&lt;").split())
