"""Find samples that lie in several parts of a data set: in the test, a model has seen them already."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrower.data.parting import Parted
from narrower.errors import DataError


def repeated(values: NDArray[Any], rows: Parted) -> tuple[int, int]:
    """How many validation and test samples [N, ...] have the values of a training sample."""
    known = set(_keys(values[rows[0]]))
    return tuple(sum(key in known for key in _keys(values[part])) for part in rows[1:])  # type: ignore[return-value]


def repeated_note(values: NDArray[Any], rows: Parted) -> list[str]:
    """What to say of such samples; nothing where there are none."""
    counts = repeated(values, rows)
    if not any(counts):
        return []
    said = " and ".join(
        f"{count:,} of {len(part):,} {name} samples"
        for count, part, name in zip(counts, rows[1:], ("validation", "test"), strict=True)
        if count
    )
    return [
        f"{said} are also in the training part, value by value, and flatter the model; group = 'column' "
        "keeps what "
        "belongs together in one part, duplicates = 'drop' keeps the first of equal samples"
    ]


def without_repeated(values: NDArray[Any], rows: Parted) -> tuple[Parted, list[str]]:
    """Parts in which no sample is there twice: the first one of equal samples is kept.

    Raises:
        DataError: a part would be empty.
    """
    seen: set[bytes] = set()
    kept = []
    for part in rows:
        is_new = np.zeros(len(part), dtype=bool)
        for place, key in enumerate(_keys(values[part])):
            is_new[place] = key not in seen
            seen.add(key)
        kept.append(part[is_new])
    if min(len(part) for part in kept) == 0:
        raise DataError("a part holds nothing but samples of another; duplicates = 'keep' leaves them")
    gone = sum(map(len, rows)) - sum(map(len, kept))
    return (kept[0], kept[1], kept[2]), [f"{gone:,} samples that repeat another were left out"]


def _keys(values: NDArray[Any]) -> list[bytes]:
    flat = np.ascontiguousarray(values).reshape(len(values), -1)
    return [row.tobytes() for row in flat]
