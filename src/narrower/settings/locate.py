"""On which line of a TOML file a key stands."""

import tomllib
from collections.abc import Sequence

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


def line_of_text(text: str, key: str) -> int | None:
    """The line of a key in dotted form, in which a layer's name may be spelled with dots or underscores."""
    spelled = f"{key}."
    found: tuple[int, bool, int] | None = None  # how much of the key, whether in its very spelling, the line
    for path, line in key_lines(text).items():
        start = f"{'.'.join(path)}."
        if spelled.replace("_", ".").startswith(start.replace("_", ".")):
            match = (len(start), spelled.startswith(start), line)
            found = match if found is None or match[:2] > found[:2] else found
    return found[2] if found else None


def key_lines(text: str) -> dict[Path, int]:
    """The first line of every key and every table in a valid TOML text."""
    found: dict[Path, int] = {}
    table: Path = ()
    lines = text.splitlines()
    number = 0
    while number < len(lines):
        line = lines[number].strip()
        header = _keys(line.split("#")[0].strip() + "\n") if line.startswith("[") else None
        if header is not None:
            table = header
            _note(found, table, number + 1)
        elif "=" in line and not line.startswith("#"):
            name, length = _assignment(lines, number)
            if name is not None:
                _note(found, table + name, number + 1)
                number += length - 1
        number += 1
    return found


def _note(found: dict[Path, int], path: Path, line: int) -> None:
    for length in range(1, len(path) + 1):
        found.setdefault(path[:length], line)


def _assignment(lines: Sequence[str], start: int) -> tuple[Path | None, int]:
    """The key that is set from line ``start`` on, and over how many lines its value goes."""
    for stop in range(start + 1, len(lines) + 1):
        keys = _keys("\n".join(lines[start:stop]))
        if keys is not None:
            return keys, stop - start
    return None, 1


def _keys(fragment: str) -> Path | None:
    """The path that a piece of TOML sets, down to its first value; None where it does not parse."""
    try:
        value: object = tomllib.loads(fragment)
    except tomllib.TOMLDecodeError:
        return None
    is_header = fragment.lstrip().startswith("[")
    path: list[str] = []
    assigned = None if is_header else fragment.split("=", 1)[0]
    while isinstance(value, dict) and len(value) == 1:
        ((name, value),) = value.items()
        path.append(name)
        if assigned is not None and len(path) >= _depth(assigned):
            break
        if isinstance(value, list):  # a table in a list of tables
            break
    return tuple(path) if path else None


def _depth(key: str) -> int:
    """How many names a dotted key has."""
    value: object = tomllib.loads(f"{key} = 0")
    depth = 0
    while isinstance(value, dict):
        (value,) = value.values()
        depth += 1
    return depth
