"""From the columns of a table to the numbers that a model takes: categories, and what is missing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrower.data.column_kinds import Column
from narrower.data.prepared import PreparedFeature
from narrower.errors import DataError

MOST_CATEGORIES = 64  # of a column, each of which becomes a feature
NOT_GIVEN = "missing"  # what a category is called that is not there


@dataclass(frozen=True, slots=True)
class Features:
    """Numbers [N, F] in double precision, what each feature is made of, and what was done to make them."""

    values: NDArray[np.float64]
    features: tuple[PreparedFeature, ...]
    notes: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """What each feature is called."""
        return tuple(feature.name for feature in self.features)


def features_of(where: str, columns: Sequence[Column], train: NDArray[Any], *, as_codes: bool) -> Features:
    """Features of all rows; what is missing becomes the median of the rows ``train``.

    Raises:
        DataError: a column has no values, an infinite one, or too many different categories.
    """
    values: list[NDArray[np.float64]] = []
    made: list[PreparedFeature] = []
    filled: list[str] = []
    spelled: list[str] = []
    for column in columns:
        count = int(column.missing.sum())
        if count == len(column.missing):
            raise DataError(f"{where}: column {column.name!r} holds no values; leave it out of features")
        if column.kind == "category":
            found = _codes(where, column) if as_codes else _one_hot(where, column)
            spelled.append(f"{column.name} ({len(np.unique(column.present))})")
            how = f"category {NOT_GIVEN!r}"
        else:
            found = {_number(column, train): _numbers(where, column, train)}
            how = "the median of the training part"
        if count:
            filled.append(f"{column.name} {count:,} ({how})")
        values += found.values()
        made += found
    notes = []
    if spelled:
        form = (
            "codes 0, 1, ... in alphabetical order"
            if as_codes
            else "a feature of zeros and ones for each value"
        )
        notes.append(f"text becomes numbers, {form}: {', '.join(spelled)}")
    if filled:
        notes.append(f"missing values were filled: {', '.join(filled)}")
    return Features(np.stack(values, axis=1), tuple(made), tuple(notes))


def _numbers(where: str, column: Column, train: NDArray[Any]) -> NDArray[np.float64]:
    values = np.asarray(column.values, dtype=np.float64)
    infinite = np.isinf(values)
    if infinite.any():
        row = int(np.flatnonzero(infinite)[0])
        raise DataError(f"{where}: column {column.name!r} is infinite in row {row + 1:,}")
    return np.where(column.missing, _middle(column, train), values) if column.missing.any() else values


def _number(column: Column, train: NDArray[Any]) -> PreparedFeature:
    missing = _middle(column, train) if column.missing.any() else None
    return PreparedFeature(column.name, column.name, "time" if column.kind == "time" else "number", missing)


def _middle(column: Column, train: NDArray[Any]) -> float:
    """The median of the rows ``train``, or of all where none of those has a value."""
    known = column.values[train][~column.missing[train]]
    return float(np.median(np.asarray(known if len(known) else column.present, dtype=np.float64)))


def _one_hot(where: str, column: Column) -> dict[PreparedFeature, NDArray[np.float64]]:
    texts, options = _options(column)
    if len(options) > MOST_CATEGORIES:
        raise DataError(
            f"{where}: column {column.name!r} holds {len(options):,} different texts, such as "
            f"{options[0]!r}: "
            f"at most {MOST_CATEGORIES} become features of their own; leave it out of features, or say "
            "categories = 'codes'"
        )
    told = options[1:] if len(options) == 2 else options  # noqa: PLR2004 - one feature says which of two it is
    missing = NOT_GIVEN if column.missing.any() else None
    return {
        PreparedFeature(f"{column.name}={option}", column.name, "one-hot", missing, option): (
            texts == option
        ).astype(np.float64)
        for option in told
    }


def _codes(where: str, column: Column) -> dict[PreparedFeature, NDArray[np.float64]]:
    texts, options = _options(column)
    if len(options) == len(texts) > MOST_CATEGORIES:
        raise DataError(
            f"{where}: column {column.name!r} holds another text in each row, such as {options[0]!r}: "
            "nothing "
            "can be learned from it; leave it out of features"
        )
    missing = NOT_GIVEN if column.missing.any() else None
    feature = PreparedFeature(column.name, column.name, "code", missing, categories=tuple(options))
    return {feature: np.searchsorted(np.array(options, dtype=object), texts).astype(np.float64)}


def _options(column: Column) -> tuple[NDArray[Any], list[str]]:
    texts = np.where(column.missing, NOT_GIVEN, column.values)
    return texts, sorted(set(texts.tolist()))
