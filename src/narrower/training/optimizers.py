"""The optimizer of a recipe, on the vectors of a model in training."""

from collections.abc import Sequence

import torch
from torch import Tensor

from narrower.training.flat import FlatWeights
from narrower.training.recipe import Recipe


def build_optimizers(weights: Sequence[FlatWeights], recipe: Recipe) -> list[torch.optim.Optimizer]:
    """One or two; each has the fused form, where PyTorch has it."""
    groups = []
    for name, decay in (("decaying", recipe.weight_decay), ("others", 0.0)):
        vectors: list[Tensor] = [vector for each in weights for vector in getattr(each, name)]
        if vectors:
            groups.append({"params": vectors, "weight_decay": decay})
    matrices = [matrix for each in weights for matrix in each.matrices]
    built: list[torch.optim.Optimizer] = []
    if matrices:
        built.append(
            torch.optim.Muon(
                matrices,
                lr=recipe.learning_rate,
                weight_decay=recipe.weight_decay,
                momentum=recipe.momentum,
                adjust_lr_fn="match_rms_adamw",  # so that one rate suits matrices and the rest
            )
        )
    if groups and recipe.optimizer == "sgd":
        built.append(torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum, fused=True))
    elif groups:
        kind = torch.optim.Adam if recipe.optimizer == "adam" else torch.optim.AdamW
        built.append(kind(groups, lr=recipe.learning_rate, fused=True))
    return built


def set_rate(optimizers: Sequence[torch.optim.Optimizer], rate: float) -> None:
    """The rate of the next step."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate
