"""Every value of a search, defaults included, with where it comes from."""

from collections.abc import Iterator, Mapping
from typing import Any

import tomli_w

from narrower.settings.explain import Key, dotted
from narrower.settings.load import LoadedSettings
from narrower.settings.respell import place_in_file

DEFAULT = "default"


def origins(loaded: LoadedSettings) -> Iterator[tuple[Key, Any, str]]:
    """Each key that has a value, the value, and the file and line or the option that says it."""
    tables = loaded.settings.model_dump(exclude_none=True, warnings=False, by_alias=True)
    for key, value in _leaves(tables, ()):
        yield key, value, loaded.layers.origin(place_in_file(key, loaded.moved)) or DEFAULT


def text_with_origins(loaded: LoadedSettings) -> str:
    """A settings file that says the same, with a comment behind each value."""
    lines: list[tuple[str, str]] = []
    table: Key = ()
    for key, value, origin in origins(loaded):
        if key[:-1] != table:
            table = key[:-1]
            lines += [("", ""), (f"[{dotted(table)}]", "")]
        lines.append((f"{dotted(key[-1:])} = {_written(value)}", origin))
    width = max(len(line) for line, origin in lines if origin)
    return "\n".join(f"{line:{width}}  # {origin}" if origin else line for line, origin in lines)


def _leaves(table: Mapping[str, Any], at: Key) -> Iterator[tuple[Key, Any]]:
    """Values before tables, as TOML wants them."""
    for key, value in table.items():
        if not isinstance(value, dict):
            yield (*at, key), value
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*at, key))


def _written(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_written, value))}]"
    return tomli_w.dumps({"x": value}).partition("=")[2].strip()
