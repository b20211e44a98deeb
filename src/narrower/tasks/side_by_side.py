"""Columns of numbers that samples contribute, put beside each other."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def side_by_side(*columns: "Tensor") -> "Tensor":
    """Columns [N] or [N, K] as one array in double precision; nothing here imports torch."""
    wide = [column[:, None] if column.dim() == 1 else column for column in columns]
    found: Tensor = wide[0].double().new_empty(len(wide[0]), sum(column.shape[1] for column in wide))
    start = 0
    for column in wide:
        found[:, start : start + column.shape[1]] = column
        start += column.shape[1]
    return found
