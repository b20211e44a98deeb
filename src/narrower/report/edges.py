"""Which edge has which format under a plan, as rows of a table."""

from typing import TYPE_CHECKING

from narrower.report.plan_text import count
from narrower.report.record import Member

if TYPE_CHECKING:
    from narrower.report.page import Table

COLUMNS = ("edge", "what writes it", "read by", "format", "bits of a sample", "saves bit operations")
MOST_READERS = 3  # that are named
UNKNOWN = "–"


def edge_rows(member: Member) -> list[tuple[str, ...]]:
    """A row for each edge in the order in which they are written; none where the plan rounds none."""
    return [
        (
            edge.edge,
            f"{edge.kind} (output)" if edge.is_output else edge.kind,
            _named(edge.readers),
            edge.format,
            UNKNOWN if edge.bits is None else f"{edge.bits:,.0f}",
            count(edge.saved_bitops),
        )
        for edge in member.edges
    ]


def edge_table(member: Member) -> "Table | None":
    """The same as a table of the report."""
    from narrower.report.page import Table  # and Jinja, which rows alone do without

    rows = edge_rows(member)
    if not rows:
        return None
    caption = (
        "Edges: tensors that are rounded once, where they are written. The last column is by how much bit "
        "operations would rise if this edge alone were in float32."
    )
    return Table(COLUMNS, tuple(rows), (False, False, False, False, True, True), caption=caption)


def _named(readers: tuple[str, ...]) -> str:
    more = len(readers) - MOST_READERS
    return ", ".join(readers[:MOST_READERS]) + (f" and {more} more" if more > 0 else "") or UNKNOWN
