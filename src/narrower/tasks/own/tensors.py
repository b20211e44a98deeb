"""Outputs and targets of samples, from the rows of numbers that ``all_samples.py`` makes of them."""

import math

import torch
from torch import Tensor

from narrower.tasks.whole_metrics import Floats


def outputs_and_targets(rows: Floats) -> tuple[Tensor, Tensor]:
    """What ``rows_of`` was given, as 32-bit numbers or whole ones."""
    shapes: list[tuple[tuple[int, ...], bool]] = []
    at = 0
    for _ in range(2):
        dimensions = int(rows[0, at])
        sizes = tuple(int(size) for size in rows[0, at + 1 : at + 1 + dimensions])
        shapes.append((sizes, bool(rows[0, at + 1 + dimensions])))
        at += dimensions + 2
    found = []
    for sizes, is_real in shapes:
        values = torch.from_numpy(rows[:, at : at + math.prod(sizes)].reshape(len(rows), *sizes))
        found.append(values.float() if is_real else values.long())
        at += math.prod(sizes)
    return found[0], found[1]
