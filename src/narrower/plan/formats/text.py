"""Read the text form of any number format."""

import re

from narrower.errors import SettingsError, nearest
from narrower.plan.formats.catalogue import FAMILIES
from narrower.plan.formats.family import Family
from narrower.plan.formats.fixed_each import NAME
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.formats.stored_each import read_stored

CALL = re.compile(r"\s*(?P<name>\w+)\s*(?:\((?P<arguments>[^()]*)\))?\s*")
ARGUMENT = re.compile(r"\s*(?:(?P<field>\w+)\s*=)?\s*(?P<text>[-+.\w]+)\s*")


def parse_format(text: str) -> NumberFormat:
    """Read ``float32``, ``fixed(8,frac=4)`` or another text form (docs/formats.md).

    Raises:
        SettingsError: the text is no number format.
    """
    names = {name: family for family in FAMILIES for name in family.names}
    match = CALL.fullmatch(text)
    name = match["name"] if match else text.split("(", maxsplit=1)[0].strip()
    if name == NAME:
        return read_stored(text)
    if name not in names:
        raise SettingsError(
            f"unknown number format {text!r}{nearest(name, names)}; allowed: {', '.join(names)}"
        )
    family = names[name]
    given = _arguments(match["arguments"]) if match else None
    if given is None:
        raise SettingsError(f"{text!r} is no number format; {family.form(name)}")
    return _read(family, name, given, text)


def _read(family: Family, name: str, given: dict[str, str], text: str) -> NumberFormat:
    try:
        return family.read(name, given)
    except SettingsError as error:
        raise SettingsError(f"{text!r} is no number format: {error}") from None


def _arguments(text: str | None) -> dict[str, str] | None:
    """The texts by field, the one without a name at ""; None where they are no such list."""
    if text is None:
        return {}
    found: dict[str, str] = {}
    for position, part in enumerate(text.split(",")):
        match = ARGUMENT.fullmatch(part)
        field = match["field"] or "" if match else ""
        if match is None or field in found or (field == "" and position > 0):
            return None
        found[field] = match["text"]
    return found
