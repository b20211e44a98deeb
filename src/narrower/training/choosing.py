"""Split the training part into samples that teach and samples that choose the best epoch."""

import torch

from narrower.data.parts import Part
from narrower.training.recipe import Recipe


def taught_and_choosing(part: Part, recipe: Recipe) -> tuple[Part, Part | None]:
    """The whole part and None where the recipe chooses nothing; otherwise a share of it is held out.

    Which samples these are depends on the recipe's seed and their number alone. Both keep their order.
    """
    if not recipe.chooses:
        return part, None
    count = len(part)
    held_out = min(max(1, round(count * recipe.choosing_share)), count - 1)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(recipe.seed))
    is_held_out = torch.zeros(count, dtype=torch.bool)
    is_held_out[order[:held_out]] = True
    return part.at(~is_held_out), part.at(is_held_out)
