"""What a column of a file holds: numbers, categories or times, and where values are missing."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from narrower.data.raw_columns import NESTED
from narrower.errors import DataError

Kind = Literal["number", "whole", "category", "time"]
MOSTLY = 0.5  # of a column's values: so many numbers make text among them a mistake
FALSE_AND_TRUE = {"false": 0.0, "true": 1.0}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of N values: numbers in double precision, or text where they are categories.

    ``missing`` says where there is none.
    """

    name: str
    kind: Kind
    values: NDArray[Any]
    missing: NDArray[np.bool_]

    @property
    def present(self) -> NDArray[Any]:
        """The values that are there."""
        return self.values[~self.missing]

    def of(self, rows: NDArray[Any]) -> "Column":
        """Some of the rows."""
        return Column(self.name, self.kind, self.values[rows], self.missing[rows])


def column_of(where: str, name: str, raw: NDArray[Any]) -> Column:
    """What a column of a file holds.

    Raises:
        DataError: it is no column, or numbers and text stand side by side in it.
    """
    if raw.ndim != 1:
        raise DataError(f"{where}: {name!r} has shape {raw.shape}, and a column of values is needed")
    if raw.dtype == object:
        return _of_texts(where, name, raw)
    if raw.dtype.kind in "Mm":
        return Column(name, "time", raw.astype("int64").astype(float), np.isnat(raw))
    if raw.dtype == NESTED:
        raise DataError(
            f"{where}: column {name!r} holds lists or other nested values; expected numbers, text or times"
        )
    if raw.dtype.kind not in "iufb":
        raise DataError(f"{where}: {name!r} is {raw.dtype}; expected numbers, text or times")
    values = raw.astype(np.float64)
    missing = np.isnan(values)
    is_whole = raw.dtype.kind in "iub" or (missing.any() and _are_whole(values[~missing]))
    return Column(name, "whole" if is_whole else "number", values, missing)


def _of_texts(where: str, name: str, raw: NDArray[Any]) -> Column:
    missing = raw == ""
    numbers, is_number = _parsed(raw, missing)
    present = int((~missing).sum())
    found = int(is_number.sum())
    if found == present:
        texts = raw[~missing]
        is_whole = present > 0 and all("." not in text and "e" not in text.lower() for text in texts)
        return Column(
            name, "whole" if is_whole and np.isfinite(numbers[~missing]).all() else "number", numbers, missing
        )
    if {text.lower() for text in raw[~missing]} <= FALSE_AND_TRUE.keys():
        values = np.array([FALSE_AND_TRUE.get(text.lower(), np.nan) for text in raw])
        return Column(name, "whole", values, missing)
    if found >= MOSTLY * present:
        row = int(np.flatnonzero(~is_number & ~missing)[0])
        raise DataError(
            f"{where}: column {name!r} mixes numbers and text: {found:,} numbers, and {raw[row]!r} in row "
            f"{row + 1:,}; mend the file, or name the columns that count with features = [...]"
        )
    times = _times(raw, missing)
    if times is not None:
        return Column(name, "time", times, missing)
    return Column(name, "category", raw, missing)


def _parsed(raw: NDArray[Any], missing: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The number of each text, NaN where it is none, and where it is one."""
    try:
        numbers = np.full(len(raw), np.nan)
        numbers[~missing] = raw[~missing].astype(np.float64)
    except ValueError:
        pass  # some are text: each is looked at
    else:
        return numbers, ~missing
    is_number = np.zeros(len(raw), dtype=bool)
    for row in np.flatnonzero(~missing):
        try:
            numbers[row] = float(raw[row])
        except ValueError:
            continue
        is_number[row] = True
    return numbers, is_number


def _times(raw: NDArray[Any], missing: NDArray[np.bool_]) -> NDArray[np.float64] | None:
    """Microseconds of dates and times as ISO 8601 writes them; None where the text is something else."""
    try:
        found = np.full(len(raw), np.datetime64("NaT", "us"))
        found[~missing] = np.array([text.rstrip("Z") for text in raw[~missing]], dtype="datetime64[us]")
    except ValueError:
        return None
    return found.astype("int64").astype(np.float64)


def _are_whole(values: NDArray[np.float64]) -> bool:
    return bool((np.isfinite(values) & (values == np.round(values))).all())
