"""Where words go: results to stdout, progress and messages to stderr."""

import json
import os
from collections.abc import Iterable, Sequence

import typer
from rich.box import HORIZONTALS
from rich.console import Console
from rich.markup import escape
from rich.table import Table


def messages() -> Console:
    """The console for progress, notes and errors."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def note(text: str) -> None:
    """Say one thing that is worth knowing, on stderr."""
    messages().print(f"note: {text}", markup=False)


def results() -> Console:
    """The console for what a command was asked for; as wide as it takes when piped, unless COLUMNS is set."""
    console = Console(highlight=False)
    if console.is_terminal or os.environ.get("COLUMNS", "").isdigit():
        return console
    return Console(highlight=False, width=1000)


def print_json(value: object) -> None:
    """Print ``value`` as JSON on stdout; NaN is not JSON and is refused."""
    results().out(json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False), highlight=False)


def print_lines(lines: Iterable[str]) -> None:
    """Print lines on stdout as they are, one after the other."""
    for line in lines:
        typer.echo(line)


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    title: str | None = None,
    *,
    narrow: tuple[Sequence[str], Sequence[Sequence[object]]] | None = None,
) -> None:
    """Print rows under column headings; numbers are right-aligned.

    ``narrow`` are other columns and rows, of several lines each, for a terminal that is too narrow for these.
    """
    console = results()
    table = _table(columns, rows, Table(title=title, title_justify="left"))
    if narrow is not None and table.__rich_measure__(console, console.options).maximum > console.width:
        table = _table(*narrow, _stacked(title))
    console.print(table)


def _stacked(title: str | None) -> Table:
    """A table whose rows have several lines, with as little as possible between its columns."""
    return Table(
        title=title,
        title_justify="left",
        box=HORIZONTALS,
        show_lines=True,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )


def _table(columns: Sequence[str], rows: Sequence[Sequence[object]], table: Table) -> Table:
    for index, column in enumerate(columns):
        is_number = bool(rows) and all(isinstance(row[index], int | float) for row in rows)
        table.add_column(column, justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(cell_text(cell) for cell in row))
    return table


def cell_text(value: object) -> str:
    """A value as a table shows it: whole numbers with thousands separators, fractions with six digits."""
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return escape(str(value))
    return f"{value:,}" if isinstance(value, int) else f"{value:.6g}"
