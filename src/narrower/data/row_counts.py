"""Targets that only tell rows apart, such as their numbers: nothing can be learned from them."""

from collections.abc import Sequence

import numpy as np

from narrower.data.column_kinds import Column
from narrower.errors import DataError
from narrower.tasks.catalogue import is_own_task

FEWEST = 3  # rows of which one can say so
OF_CLASSES = ("classification", "anomalies")


def refuse_row_counts(where: str, columns: Sequence[Column], task: str | None) -> None:
    """Check targets as the file has them; a regression that is asked for may foretell numbers of rows.

    Raises:
        DataError: a target counts the rows, or there are more classes than half the rows.
    """
    if task == "regression" or (task is not None and is_own_task(task)):
        return
    for column in columns:
        if _counts(column):
            low, high = (f"{value:.0f}" for value in (column.present.min(), column.present.max()))
            raise DataError(
                f"{where}: target {column.name!r} counts the rows, {low} to {high} and each number once: no "
                "classes can be learned from it; name another target, or say task = 'regression' if it is a "
                "measured number"
            )
        rows, different = len(column.present), len(set(column.present.tolist()))
        are_classes = task in OF_CLASSES or (task is None and column.kind == "category")
        if are_classes and rows >= FEWEST and different > rows / 2:
            how = (
                "another value in each row" if different == rows else f"{different:,} values in {rows:,} rows"
            )
            raise DataError(
                f"{where}: target {column.name!r} holds {how}, such as {_shown(column.present[0])}: no "
                "classes can be learned from it; name another target"
            )


def _counts(column: Column) -> bool:
    """Whether each number from the least to the greatest is there once, in any order."""
    if column.kind not in ("whole", "number") or not _are_different(column):
        return False
    values = column.present
    is_whole = bool((np.isfinite(values) & (values == np.round(values))).all())
    return is_whole and values.max() - values.min() == len(values) - 1


def _are_different(column: Column) -> bool:
    values = column.present
    return len(values) >= FEWEST and len(set(values.tolist())) == len(values)


def _shown(value: object) -> str:
    return f"{value:.15g}" if isinstance(value, float) else repr(value)
