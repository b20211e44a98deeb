"""Which columns of text hold numbers with commas or points in them, and what those numbers are."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SPACES = " '\u2019\u00a0\u2009\u202f"  # that stand between thousands, beside points
_END = r"(?:[eE][+-]?\d+)?"
_DECIMAL = re.compile(
    rf"[+-]?(?:(?:\d+|[1-9]\d{{0,2}}(?:\.\d{{3}})+|[1-9]\d{{0,2}}(?:[{_SPACES}]\d{{3}})+)(?:,\d*)?|,\d+){_END}"
)
_THOUSANDS = re.compile(rf"[+-]?(?:[1-9]\d{{0,2}}(?:,\d{{3}})+|\d+)(?:\.\d*)?{_END}")
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:\.\d{3})+")  # 1.234: a thousand and more where commas are decimal
_WITHOUT = str.maketrans(dict.fromkeys(f".{_SPACES}", "") | {",": "."})  # 1.234,5 as 1234.5
_WITHOUT_COMMAS = str.maketrans({",": ""})

Texts = Mapping[str, NDArray[Any]]


def plain_numbers(columns: Texts) -> tuple[dict[str, NDArray[Any]], list[str]]:
    """Columns whose numbers have points as decimal signs and nothing else, and what is said of those changed.

    Only where commas do not part columns. A comma before three digits may part decimals or thousands: the
    column's other numbers decide, then the file's other columns; else it is said how it was read.
    """
    decimal, thousands, unclear = [], [], []
    for name, texts in _with_commas(columns):
        is_decimal, is_thousands = _all(_DECIMAL, texts), _all(_THOUSANDS, texts)
        if is_decimal and is_thousands:
            unclear.append((name, texts))
        elif is_decimal:
            decimal.append(name)
        elif is_thousands:
            thousands.append(name)
    notes, is_german = [], bool(decimal)
    has_points = any(_has_points(texts) for texts in columns.values())
    for name, texts in unclear:
        example = next(text for text in texts if "," in text)
        if decimal:
            decimal.append(name)
        elif thousands or has_points:
            thousands.append(name)
        elif all("," in text for text in texts):
            decimal.append(name)
            notes.append(_unclear(name, example))
        else:
            notes.append(_unread(name, example, next(text for text in texts if "," not in text)))
    points = [
        name
        for name, texts in columns.items()
        if name not in decimal and _are_grouped(_present(texts), in_german=is_german)
    ]
    found = dict(columns)
    for name in (*decimal, *points):
        found[name] = _changed(columns[name], _WITHOUT)
    for name in thousands:
        found[name] = _changed(columns[name], _WITHOUT_COMMAS)
    said = {
        "numbers with a decimal comma": decimal,
        "numbers with commas between thousands": thousands,
        "numbers with points between thousands": points,
    }
    return found, [*(f"{what}: {', '.join(names)}" for what, names in said.items() if names), *notes]


def numbers_of_quoted(columns: Texts) -> tuple[dict[str, NDArray[Any]], list[str]]:
    """The same where commas part columns: a comma within quotes can only stand between thousands."""
    names = [name for name, texts in _with_commas(columns) if _all(_THOUSANDS, texts)]
    found = {
        name: _changed(texts, _WITHOUT_COMMAS) if name in names else texts for name, texts in columns.items()
    }
    return found, [f"numbers with commas between thousands: {', '.join(names)}"] if names else []


def _with_commas(columns: Texts) -> Iterator[tuple[str, list[str]]]:
    for name, texts in columns.items():
        present = _present(texts)
        if any("," in text for text in present):
            yield name, present


def _present(texts: NDArray[Any]) -> list[str]:
    return [text for text in texts.tolist() if text] if texts.dtype == object else []


def _all(form: re.Pattern[str], texts: list[str]) -> bool:
    return all(map(form.fullmatch, texts))


def _has_points(texts: NDArray[Any]) -> bool:
    """Whether a column's numbers have points that can only be decimal."""
    present = _present(texts)
    if not any("." in text for text in present) or not _all(_THOUSANDS, present):
        return False
    return not all(_GROUPED.fullmatch(text) for text in present if "." in text)


def _are_grouped(texts: list[str], *, in_german: bool) -> bool:
    """Whether points stand between thousands: two in one number show it, or commas elsewhere in the file."""
    if not any("." in text for text in texts) or not _all(_DECIMAL, texts):
        return False
    return in_german or any(text.count(".") > 1 for text in texts)


def _changed(texts: NDArray[Any], table: dict[int, Any]) -> NDArray[Any]:
    return np.array([text.translate(table) for text in texts.tolist()], dtype=object)


def _unclear(name: str, example: str) -> str:
    return (
        f"each number of {name} has three digits behind its comma: {example} is read as "
        f"{example.translate(_WITHOUT)}; write {example.translate(_WITHOUT_COMMAS)} where a thousand is meant"
    )


def _unread(name: str, example: str, other: str) -> str:
    return (
        f"{name} stays text: the comma of {example} beside {other} may be decimal or stand between "
        f"thousands; write {example.translate(_WITHOUT)} or {example.translate(_WITHOUT_COMMAS)}"
    )
