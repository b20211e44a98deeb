"""Amounts of memory in options: ``256MiB`` as a number of bytes."""

import re

from narrower.errors import SettingsError

UNITS = {"": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def byte_count(option: str, text: str) -> int:
    """The bytes that ``text`` such as ``256MiB`` stands for.

    Raises:
        SettingsError: it is no such amount.
    """
    found = re.fullmatch(r"\s*(\d+)\s*([A-Za-z]*)\s*", text)
    factor = {name.lower(): value for name, value in UNITS.items()}.get(found[2].lower()) if found else None
    if found is None or factor is None:
        raise SettingsError(f"{option}: found {text!r}; allowed: bytes, or a number with KiB, MiB or GiB")
    return int(found[1]) * factor
