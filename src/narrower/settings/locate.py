"""On which line of a TOML file a key stands."""

import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Path = tuple[str, ...]


def line_of(text: str, path: Sequence[object]) -> int | None:
    """The line (from 1) where a key is set, or else where the nearest table around it begins."""
    lines = key_lines(text)
    wanted = tuple(str(part) for part in path)
    while wanted:
        if wanted in lines:
            return lines[wanted]
        wanted = wanted[:-1]
    return None


@dataclass(frozen=True, slots=True)
class Nearest:
    """How much of a dotted key a line sets, and whether it spells it so; the larger, the nearer."""

    length: int
    is_exact: bool
    line: int


def nearest_line(text: str, key: str) -> Nearest | None:
    """Where a key in dotted form stands, in which a layer's name may be spelled with dots or underscores."""
    spelled = f"{key}."
    found: Nearest | None = None
    for path, line in key_lines(text).items():
        start = f"{'.'.join(path)}."
        if spelled.replace("_", ".").startswith(start.replace("_", ".")):
            match = Nearest(len(start), spelled.startswith(start), line)
            if found is None or (match.length, match.is_exact) > (found.length, found.is_exact):
                found = match
    return found


def key_lines(text: str) -> dict[Path, int]:
    """The first line of every key and every table in a valid TOML text."""
    found: dict[Path, int] = {}
    table: Path = ()
    for line, statement in _statements(text):
        if statement.startswith("["):
            table = _names(statement)
            _note(found, table, line)
        else:
            _note(found, table + _names(f"{_key(statement)} = 0"), line)
    return found


def _note(found: dict[Path, int], path: Path, line: int) -> None:
    for length in range(1, len(path) + 1):
        found.setdefault(path[:length], line)


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Each header and each assignment, with its line and without comments; a value may have many lines."""
    begin, line, first, depth = 0, 1, 1, 0
    parts: list[str] = []
    for match in _TOKEN.finditer(text):
        token = match[0]
        if (token == "\n" and depth <= 0) or token[0] == "#":
            parts.append(text[begin : match.start()])
            begin = match.end()
        if token == "\n" and depth <= 0:
            statement = "".join(parts).strip()
            if statement:
                yield first, statement
            parts, first = [], line + 1
        depth += _DEPTH.get(token, 0)
        line += token.count("\n")
    statement = "".join([*parts, text[begin:]]).strip()
    if statement:
        yield first, statement


def _key(statement: str) -> str:
    """What stands before the first equals sign that is not part of a quoted name."""
    for match in _TOKEN.finditer(statement):
        if match[0] == "=":
            return statement[: match.start()]
    return statement


def _names(fragment: str) -> Path:
    """The path that a header or an assignment sets; nothing where it cannot be read alone."""
    try:
        value: object = tomllib.loads(fragment)
    except ValueError:
        return ()
    path: list[str] = []
    while isinstance(value, dict) and len(value) == 1:
        ((name, value),) = value.items()
        path.append(name)
        if isinstance(value, list):  # a table in a list of tables
            break
    return tuple(path)


_TOKEN = re.compile(
    r'''"""(?:\\.|[^\\])*?"{3,5}|\'{3}.*?\'{3,5}|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|\#[^\n]*|[\[\]{}=\n]''',
    re.DOTALL,
)
_DEPTH = {"[": 1, "{": 1, "]": -1, "}": -1}
