"""Samples cut into folds: each scores once, and teaches in all other folds."""

import torch

from narrower.data.parts import Part
from narrower.errors import SettingsError


def folds_of(part: Part, count: int, seed: int) -> list[tuple[Part, Part]]:
    """For each fold the samples that teach, and those that score: each sample scores once.

    Raises:
        SettingsError: there are fewer samples than folds.
    """
    if len(part) < count:
        raise SettingsError(f"folds: found {count}; there are {len(part)} samples")
    order = torch.randperm(len(part), generator=torch.Generator().manual_seed(seed))
    found = []
    for number in range(count):
        scores = torch.zeros(len(part), dtype=torch.bool)
        scores[order[number::count]] = True
        found.append((part.at(~scores), part.at(scores)))
    return found


def together(one: Part, other: Part) -> Part:
    """The samples of two parts."""
    pairs = zip(one.more, other.more, strict=True)
    return Part(
        torch.cat([one.inputs, other.inputs]),
        torch.cat([one.targets, other.targets]),
        tuple(torch.cat(pair) for pair in pairs),
        one.task,
    )
