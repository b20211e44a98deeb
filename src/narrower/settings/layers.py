"""What a search's settings are read from: a file, the files that it extends, and what is set over them."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from narrower.errors import SettingsError
from narrower.settings.checks import shown
from narrower.settings.locate import key_lines, line_of, nearest_line

DEEPEST = 50  # tables and lists within each other; the deepest key that has a meaning is at 6
EXTENDS = "extends"


@dataclass(frozen=True, slots=True)
class Layer:
    """One file, or what one option sets, with its text."""

    name: str
    tables: Mapping[str, Any]
    text: str
    has_lines: bool = True

    @property
    def longest(self) -> int:
        """Characters of the longest key, as ``Nearest`` counts them."""
        return max((len(".".join(path)) + 1 for path in key_lines(self.text)), default=0)

    def at(self, line: int | None) -> str:
        """This layer's name, with the line where lines mean something."""
        return f"{self.name}:{line}" if line and self.has_lines else self.name


@dataclass(frozen=True, slots=True)
class Layers:
    """What settings are made of; a later layer goes over an earlier one, key by key.

    ``main`` is the file that was asked for, or another word for where settings come from.
    """

    main: str
    each: tuple[Layer, ...] = ()

    def tables(self) -> dict[str, Any]:
        """All layers in one."""
        merged: dict[str, Any] = {}
        for layer in self.each:
            merged = _over(merged, layer.tables)
        return merged

    def origin(self, key: Sequence[str]) -> str | None:
        """Where the value of a key is set; None where no layer does."""
        return self._held(key, self.each)

    def place(self, key: Sequence[str]) -> str:
        """Where a key is set, or else the nearest table around it."""
        files = [layer for layer in self.each if layer.has_lines]
        found = self.origin(key)
        for length in range(len(key) - 1, 0, -1):
            found = found or self._held(key[:length], files)
        return found or self.main

    def place_of_text(self, key: str) -> str:
        """As ``place``, of a key in dotted form, in which a layer's name may have dots or underscores."""
        near = [
            (found, layer)
            for layer in self.each
            if (found := nearest_line(layer.text, key)) and (layer.has_lines or found.length == layer.longest)
        ]
        if not near:
            return self.main
        most = max((found.length, found.is_exact) for found, _ in near)
        found, layer = [pair for pair in near if (pair[0].length, pair[0].is_exact) == most][-1]
        return layer.at(found.line)

    @staticmethod
    def _held(key: Sequence[str], layers: Sequence[Layer]) -> str | None:
        for layer in reversed(layers):
            if _holds(layer.tables, key):
                return layer.at(line_of(layer.text, key))
        return None


OPTIONS = Layers("options")  # of the command line: no file


def read_layers(file: Path, overrides: Sequence[Path] = (), settings: Sequence[str] = ()) -> Layers:
    """A file with what it extends, then the files of ``--override``, then ``KEY=VALUE`` of ``--set``.

    Raises:
        SettingsError: a file cannot be read, is no TOML or extends itself; a setting is not KEY=VALUE.
    """
    layers = _with_bases(file, ())
    for override in overrides:
        layers += _with_bases(override, ())
    return Layers(str(file), (*layers, *(_option(text) for text in settings)))


def _with_bases(file: Path, within: tuple[Path, ...]) -> tuple[Layer, ...]:
    if file.resolve() in [each.resolve() for each in within]:
        raise SettingsError(f"{within[-1]}: {EXTENDS}: {file} extends this file as well; allowed: no circle")
    layer = _read(file)
    tables = dict(layer.tables)
    bases = tables.pop(EXTENDS, [])
    place = f"{layer.at(line_of(layer.text, (EXTENDS,)))}: {EXTENDS}"
    names = [bases] if isinstance(bases, str) else bases
    if not isinstance(names, list) or not all(isinstance(name, str) and name.strip() for name in names):
        raise SettingsError(
            f"{place}: found {shown(bases)}; allowed: a file such as 'base.toml', or a list of them"
        )
    found: tuple[Layer, ...] = ()
    for name in names:
        base = file.parent / name
        if not base.is_file():
            raise SettingsError(f"{place}: there is no file {base}")
        found += _with_bases(base, (*within, file))
    return (*found, Layer(layer.name, tables, layer.text))


def _read(path: Path) -> Layer:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: not UTF-8 text: {error.reason} at byte {error.start}") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise SettingsError(f"{path}: cannot be read: {reason}") from None
    try:
        tables = tomllib.loads(text)
    except RecursionError:
        raise SettingsError(f"{path}: tables or lists are nested too deep") from None
    except ValueError as error:
        raise SettingsError(f"{path}: not valid TOML: {error}") from None
    if _is_too_deep(tables):
        raise SettingsError(f"{path}: tables or lists are nested too deep")
    return Layer(str(path), tables, text)


def _option(text: str) -> Layer:
    """``KEY=VALUE`` as TOML has it; what is no value of TOML is taken for text."""
    key, equals, value = text.partition("=")
    said = f"--set: found {text!r}; allowed: KEY=VALUE, such as search.strategy.setup.n_trials=50"
    if not equals or "\n" in text or not key.strip():
        raise SettingsError(said)
    for written in (value.strip(), json.dumps(value.strip())):
        try:
            tables = tomllib.loads(f"{key} = {written}")
        except (ValueError, RecursionError):
            continue
        if not _is_too_deep(tables):
            return Layer("--set", tables, f"{key} = {written}", has_lines=False)
    raise SettingsError(said)


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Tables joined key by key; anything else takes the place of what was there."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _over(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _holds(tables: Any, key: Sequence[str]) -> bool:
    for part in key:
        if not isinstance(tables, dict) or part not in tables:
            return False
        tables = tables[part]
    return True


def _is_too_deep(tables: Mapping[str, Any]) -> bool:
    level: list[Any] = [tables]
    for _ in range(DEEPEST):
        level = [
            value
            for holder in level
            for value in (holder.values() if isinstance(holder, dict) else holder)
            if isinstance(value, dict | list)
        ]
    return bool(level)
