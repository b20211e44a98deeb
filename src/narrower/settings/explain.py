"""What pydantic finds wrong with a settings file, in words and with the key."""

import json
import re
from collections.abc import Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from narrower.errors import nearest
from narrower.settings import not_here
from narrower.settings.checks import MANY_NAMES, shown
from narrower.settings.not_here import hint
from narrower.settings.schema import RunSettings

Key = tuple[str, ...]
_BARE = re.compile(r"[\w.:-]+")


def mistakes(error: ValidationError) -> list[tuple[Key, str]]:
    """Each mistake's place and what it is; unknown keys come before what may be missing for them."""
    problems = error.errors(include_url=False)
    found: dict[tuple[Key, str], None] = {}
    for problem in sorted(problems, key=lambda problem: problem["type"] != "extra_forbidden"):
        location = place_of(problem)
        if not (problem["type"] == "missing" and _is_misspelt(location, problems)):
            found[(location, _what(problem, location))] = None
    return list(found)


def place_of(problem: Any) -> Key:
    """Where in the tables a problem is."""
    return tuple(str(part) for part in problem["loc"] if part != "[key]")


def dotted(key: Sequence[str]) -> str:
    """A key as a line of text, whatever its names hold."""
    return ".".join(part if _BARE.fullmatch(part) else json.dumps(part) for part in key)


def _is_misspelt(location: Key, problems: Sequence[Any]) -> bool:
    """Whether a key that is missing stands there in another spelling, or its own keys do: said already."""
    unknown = [place_of(problem) for problem in problems if problem["type"] == "extra_forbidden"]
    beside = [key[-1] for key in unknown if key[:-1] == location[:-1]]
    near = [nearest(key, _fields_at(location[:-1])) for key in beside]
    return nearest(location[-1], [location[-1]]) in near or bool(set(beside) & set(_fields_at(location)))


def _what(problem: Any, location: Key) -> str:
    kind, found = problem["type"], problem["input"]
    if kind == "missing":
        return "missing"
    if kind == "extra_forbidden":
        allowed = _fields_at(location[:-1])
        said = hint(location[-1], not_here.KEYS) or nearest(location[-1], allowed)
        listed = [] if said and len(allowed) > MANY_NAMES else allowed
        return f"unknown key{said}" + (f"; allowed: {', '.join(listed)}" if listed else "")
    if kind in ("value_error", "assertion_error"):
        return str(problem["ctx"]["error"])
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return (
            f"found {shown(found)}; expected a table with the keys {', '.join(_fields_at(location)) or '...'}"
        )
    if kind == "too_short":
        return "empty; expected at least one entry"
    return f"found {shown(found)}; {problem['msg'][0].lower()}{problem['msg'][1:]}"


def _fields_at(location: Sequence[str]) -> list[str]:
    """The keys that are known at a place of the file."""
    model: Any = RunSettings
    for part in location:
        if isinstance(model, type) and issubclass(model, BaseModel):
            field = model.model_fields.get(part)
            model = table_type(field.annotation) if field else None
        elif model is not None:  # inside a dictionary: its values
            model = table_type(get_args(model)[1]) if len(get_args(model)) == 2 else None  # noqa: PLR2004
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []


def table_type(annotation: Any) -> Any:
    """The table that a key holds, or the dictionary of them; None where it holds a value."""
    for candidate in (annotation, *get_args(annotation)):  # also of "Table | None"
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
        if getattr(candidate, "__origin__", None) is dict:
            return candidate
    return None
