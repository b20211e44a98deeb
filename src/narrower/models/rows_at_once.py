"""How many samples go through a model at a time, where it is called as it is."""

import torch
from torch import Tensor, nn

from narrower.data.parts import Part
from narrower.models.evaluation_mode import evaluation_mode

LARGEST_BYTES = 2**26  # of what a module gives for all of them


def rows_at_once(model: nn.Module, part: Part, most: int) -> int:
    """As many as ``most``, fewer where what a module of the model gives is large, as two samples show."""
    largest, few = 1, part.first(2)

    def look(_module: nn.Module, _inputs: object, output: object) -> None:
        nonlocal largest
        if isinstance(output, Tensor):
            largest = max(largest, output.nbytes // len(few))

    hooks = [module.register_forward_hook(look) for module in model.modules()]
    try:
        with evaluation_mode(model), torch.inference_mode():
            model(*(argument.clone() for argument in few.arguments))
    finally:
        for hook in hooks:
            hook.remove()
    return max(1, min(most, LARGEST_BYTES // largest))
