"""How results go to stdout and progress and messages to stderr, with the user's text made harmless."""

import codecs
import json
import os
import re
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from typing import TextIO

import typer
from rich.box import HORIZONTALS
from rich.console import Console
from rich.table import Table

LARGE = 1e4  # from here on digits behind the point say nothing
WIDE = 1000  # columns where there is no terminal: as wide as it takes
NARROWEST, USUAL, WIDEST, LINES = 20, 80, 10_000, 25
# What stands for characters that the encoding of a terminal or a pipe does not have.
PLAINER = {
    "–": "-", "—": "-", "−": "-", "…": "...", "×": "x", "±": "+-", "→": "->", "≤": "<=", "≥": ">=",
    "µ": "u", "“": '"', "”": '"', "‘": "'", "’": "'", "\u00a0": " ", "━": "-", "╸": "-", "╺": "-",
}  # fmt: skip
FALL_BACK = "narrower.plainer"
UNUSUAL = re.compile(r"[^\x20-\x7e\n\t]")


def messages() -> Console:
    """The console for progress, notes and errors."""
    return _console(sys.stderr, soft_wrap=True)


def results() -> Console:
    """The console for what a command was asked for; as wide as it takes when piped, unless COLUMNS is set."""
    return _console(sys.stdout)


def tell(text: str) -> None:
    """Say something on stderr: what is being done, what is worth knowing."""
    messages().print(plain(text))


def note(text: str) -> None:
    """Say one thing that is worth knowing, on stderr."""
    tell(f"note: {text}")


def warn(*texts: str) -> None:
    """Say on stderr what the user should look at, a line for each text."""
    for text in texts:
        messages().print(f"warning: {plain(text)}", style="yellow")


def fail(text: str) -> None:
    """Say on stderr why the command ends."""
    messages().print(f"error: {plain(text)}", style="red")


def answer(text: str) -> None:
    """Print one line or paragraph of the result on stdout."""
    results().print(plain(text))


def plain(text: str) -> str:
    """The text with what a terminal would obey, or cannot show, spelled out: ``\\u001b`` for an escape.

    Lines and tabs stay. In JSON and TOML the spelling means the character itself.
    """
    return text if text.isascii() and text.isprintable() else UNUSUAL.sub(_spelled, text)


def _spelled(found: re.Match[str]) -> str:
    character = found[0]
    if character.isprintable() or unicodedata.category(character) == "Zs":  # other spaces
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code < 2**16 else f"\\U{code:08x}"


def prepare_streams() -> None:
    """Let stdout and stderr write what their encoding does not have in plainer characters."""
    codecs.register_error(FALL_BACK, _plainer)
    for stream in (sys.stdout, sys.stderr):
        if not _is_unicode(stream) and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=FALL_BACK)


def _is_unicode(stream: TextIO) -> bool:
    return (stream.encoding or "").lower().startswith("utf")


def _plainer(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    missing = error.object[error.start : error.end]
    return "".join(
        PLAINER.get(c) or c.encode("ascii", "backslashreplace").decode() for c in missing
    ), error.end


def print_json(value: object) -> None:
    """Print ``value`` as JSON on stdout; NaN is not JSON and is refused."""
    text = json.dumps(value, indent=2, allow_nan=False, ensure_ascii=not _is_unicode(sys.stdout))
    typer.echo(plain(text))


def print_lines(lines: Iterable[str]) -> None:
    """Print lines on stdout, one after the other, without wrapping them."""
    for line in lines:
        typer.echo(plain(line))


def number_text(value: float) -> str:
    """A measured number in tables: four digits behind the point, none where there are many before."""
    return f"{value:,.0f}" if abs(value) >= LARGE else f"{value:.4f}"


def interval_text(bounds: tuple[float, float] | None) -> str:
    """An interval as tables show it; nothing where it is not known."""
    return "" if bounds is None else f"{number_text(bounds[0])} to {number_text(bounds[1])}"


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
    title = None if title is None else plain(title)
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
        table.add_column(plain(column), justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(cell_text(cell) for cell in row))
    return table


def cell_text(value: object) -> str:
    """A value as a table shows it: whole numbers with thousands separators, fractions with six digits."""
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return plain(str(value))
    return f"{value:,}" if isinstance(value, int) else f"{value:.6g}"


def _console(stream: TextIO, *, soft_wrap: bool = False) -> Console:
    """A console that takes text as it is: no markup, no emoji codes, no colouring of numbers."""
    return Console(
        file=stream,
        width=_columns(stream),
        height=LINES,
        soft_wrap=soft_wrap,
        markup=False,
        emoji=False,
        highlight=False,
    )


def _columns(stream: TextIO) -> int:
    """The width that COLUMNS or the terminal says; a width of nothing counts as not said."""
    said = os.environ.get("COLUMNS", "")
    columns = int(said) if re.fullmatch("[0-9]{1,6}", said) else 0
    if columns == 0:
        try:
            columns = os.get_terminal_size(stream.fileno()).columns or USUAL
        except (OSError, ValueError):  # no terminal, or no file at all
            columns = WIDE
    return min(max(columns, NARROWEST), WIDEST)
