"""Which columns of text hold numbers with the sign of a unit, percent or money, and the numbers alone."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SIGNS = "%€$£¥₹"
_WITH_SIGN = re.compile(rf"(?P<minus>[+-]?)\s*(?P<sign>[{_SIGNS}])\s*(?P<number>[+-]?[\d.,][^{_SIGNS}]*)")
_SIGN_BEHIND = re.compile(rf"(?P<number>[+-]?[\d.,][^{_SIGNS}]*?)\s*(?P<sign>[{_SIGNS}])")


def without_signs(columns: Mapping[str, NDArray[Any]]) -> tuple[dict[str, NDArray[Any]], list[str]]:
    """Columns of text without the sign that stands at every number of theirs, and what is said of them.

    ``12 %`` is 12 and not 0.12: the unit stays what it was. Columns in which only some numbers have the
    sign, or which have several, stay as they are.
    """
    found, said = dict(columns), []
    for name, texts in columns.items():
        if texts.dtype != object:
            continue
        parted = [_parted(text) for text in texts.tolist() if text]
        signs = {sign for _, sign in parted}
        if len(signs) != 1 or None in signs:
            continue
        numbers = iter(number for number, _ in parted)
        found[name] = np.array([next(numbers) if text else "" for text in texts.tolist()], dtype=object)
        said.append(f"{name} ({signs.pop()})")
    return found, [f"numbers with a unit's sign, read without it: {', '.join(said)}"] if said else []


def _parted(text: str) -> tuple[str, str | None]:
    """The number of a text and its sign; no sign where there is none, or more than a number beside it."""
    match = _WITH_SIGN.fullmatch(text) or _SIGN_BEHIND.fullmatch(text)
    if match is None:
        return text, None
    return match.groupdict().get("minus", "") + match["number"].strip(), match["sign"]
