"""Checks of single values in a settings file, with what is said of wrong ones."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

from narrower.errors import NarrowerError, nearest
from narrower.evaluate.backends.settings import DEVICES
from narrower.settings.not_here import hint

C = TypeVar("C", bound=Callable[..., Any])
NOTHING: Mapping[str, str] = {}
SCHEMA = "json_schema"  # the attribute of a check
TEXT, YES_OR_NO = {"type": "string"}, {"type": "boolean"}
LARGEST_SHOWN = 10**60
LARGEST_NUMBER = 10**300  # larger ones are no floats, or soon are not
LARGEST_COUNT = 10**9
MOST_JOBS = 64
MANY_NAMES = 20  # that are not all listed where one of them is near
LONGEST_NAME = 200  # bytes; file systems take 255, and a number may follow


def allows(schema: Mapping[str, Any]) -> Callable[[C], C]:
    """Let a check say as JSON Schema what it allows, as far as JSON Schema can."""

    def put(check: C) -> C:
        setattr(check, SCHEMA, schema)
        return check

    return put


def allowed_by(check: Callable[..., Any]) -> Mapping[str, Any]:
    """What a check allows, as JSON Schema."""
    found: Mapping[str, Any] = getattr(check, SCHEMA, NOTHING)
    return found


def shown(value: object) -> str:
    """A value as TOML spells it, shortened."""
    if isinstance(value, int) and abs(value) > LARGEST_SHOWN:
        return "a number with more than 60 digits"
    try:
        text = {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)
    except ValueError:  # Python writes no number of thousands of digits, as one in a list may be
        return "something with a number of thousands of digits"
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004 - one line of a message


def whole_number(low: int, high: int | None = None) -> Callable[[Any], int]:
    """A check for a whole number within bounds."""
    allowed = f"a whole number from {low}" + (f" to {high}" if high is not None else " up")
    if low == high:
        allowed = str(low)

    @allows({"type": "integer", "minimum": low} | ({} if high is None else {"maximum": high}))
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < low or (high and value > high):
            raise ValueError(f"found {shown(value)}; allowed: {allowed}")
        return value

    return check


@allows({"anyOf": [{"type": "integer", "minimum": 1, "maximum": MOST_JOBS}, {"const": "auto"}]})
def jobs(value: Any) -> int | Literal["auto"]:
    """A number of processes, or "auto": as many as there are cores."""
    try:
        return "auto" if value == "auto" else whole_number(1, MOST_JOBS)(value)
    except ValueError as error:
        raise ValueError(f"{error}, or 'auto'") from None


@allows({"type": "string", "pattern": "^[0-9]+/[0-9]+$"})
def part(value: Any) -> str:
    """Which share of a search: "3/8"."""
    match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", value) if isinstance(value, str) else None
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise ValueError(f"found {shown(value)}; allowed: '1/8' to '8/8', or other parts of another number")
    return match[0]


@allows({"anyOf": [{"enum": ["local", "auto"]}, {"type": "string", "pattern": "^ray://"}]})
def ray_address(value: Any) -> str:
    """Where a Ray cluster is."""
    if isinstance(value, str) and (value in ("local", "auto") or value.startswith("ray://")):
        return value
    raise ValueError(f"found {shown(value)}; allowed: local, auto, ray://host:port")


@allows({"type": "string", "pattern": f"^({DEVICES.pattern})$"})
def device(value: Any) -> str:
    """Where plans are scored: what is here is not asked yet."""
    if isinstance(value, str) and DEVICES.fullmatch(value):
        return value
    raise ValueError(f"found {shown(value)}; allowed: cpu, cuda, cuda:1, mps, auto")


def number(allowed: str, admits: Callable[[float], bool]) -> Callable[[Any], float]:
    """A check for a finite number that ``admits`` accepts."""

    @allows({"type": "number", "description": allowed})
    def check(value: Any) -> float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or abs(value) > LARGEST_NUMBER or not admits(float(value)):
            raise ValueError(f"found {shown(value)}; allowed: {allowed}")
        return float(value)

    return check


def one_of(names: Sequence[str], absent: Mapping[str, str] = NOTHING) -> Callable[[Any], str]:
    """A check for one of several names; capitals do not matter, and hyphens are underscores.

    ``absent`` says of other names what comes nearest.
    """
    spelled = {name.lower().replace("-", "_"): name for name in names}
    return spelled_as(names, lambda value: spelled.get(value.lower().replace("-", "_")), absent)


def spelled_as(
    names: Sequence[str], canonical: Callable[[str], str | None], absent: Mapping[str, str] = NOTHING
) -> Callable[[Any], str]:
    """A check for one of several names in any spelling for which ``canonical`` gives the listed one."""

    @allows(
        {"anyOf": [{"enum": list(names)}, TEXT]}
    )  # editors complete the first; other spellings are right too
    def check(value: Any) -> str:
        name = canonical(value) if isinstance(value, str) else None
        if name is None:
            said = hint(value, absent) or nearest(value, names) if isinstance(value, str) else ""
            listed = "" if said and len(names) > MANY_NAMES else f"; allowed: {', '.join(names)}"
            raise ValueError(f"found {shown(value)}{said}{listed}")
        return name

    return check


@allows({"type": "string", "minLength": 1})
def text(value: Any) -> str:
    """A check for text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"found {shown(value)}; allowed: a text that is not empty")
    return value


@allows({"type": "string", "minLength": 1, "pattern": "^[^/\\\\]+$"})
def directory_name(value: Any) -> str:
    """A name for a directory below another: no path, and not longer than file systems allow."""
    name = text(value)
    if name in (".", "..") or set(name) & set("/\\\0") or len(name.encode()) > LONGEST_NAME:
        raise ValueError(
            f"found {shown(value)}; allowed: the name of a directory, without slashes, of at most "
            f"{LONGEST_NAME} bytes"
        )
    return name


@allows(YES_OR_NO)
def yes_or_no(value: Any) -> bool:
    """A check for a truth value."""
    if not isinstance(value, bool):
        raise ValueError(f"found {shown(value)}; allowed: true or false")
    return value


def list_of(check: Callable[[Any], Any], example: str) -> Callable[[Any], tuple[Any, ...]]:
    """A check for a list that is not empty and names nothing twice."""

    @allows({"type": "array", "minItems": 1, "items": allowed_by(check)})
    def check_list(values: Any) -> tuple[Any, ...]:
        if not isinstance(values, list | tuple):
            raise ValueError(f"found {shown(values)}; allowed: a list such as {example}")
        if not values:
            raise ValueError(f"found an empty list; allowed: a list such as {example}")
        checked = tuple(check(value) for value in values)
        repeated = [value for index, value in enumerate(checked) if value in checked[:index]]
        if repeated:
            raise ValueError(f"found {shown(repeated[0])} twice; each option is listed once")
        return checked

    return check_list


@allows({"type": "array", "minItems": 1, "items": {"type": ["string", "integer"]}})
def class_order(value: Any) -> tuple[str, ...]:
    """A list of names of classes; whole numbers are names as well."""
    if not isinstance(value, list | tuple) or not value:
        raise ValueError(f"found {shown(value)}; allowed: a list of all classes such as ['g', 'q', 'w']")
    for name in value:
        if isinstance(name, bool) or not isinstance(name, str | int):
            raise ValueError(f"found {shown(name)}; allowed: names of classes, such as 'g' or 0")
    return tuple(str(name) for name in value)


def names_between_commas(text: str) -> tuple[str, ...]:
    """Names as they are written in an option of a command."""
    return tuple(name.strip() for name in text.split(","))


def known(canonical: Callable[[str], str], absent: Mapping[str, str] = NOTHING) -> Callable[[Any], str]:
    """A check by a function that returns a listed name or raises ``NarrowerError``."""

    @allows({"type": "string", "minLength": 1})
    def check(value: Any) -> str:
        try:
            return canonical(text(value))
        except NarrowerError as error:
            start, _, end = str(error).partition(";")
            said = hint(value, absent)
            raise ValueError(f"{start.partition(' (did')[0]}{said};{end}" if said else str(error)) from None

    return check
