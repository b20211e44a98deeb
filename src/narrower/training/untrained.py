"""A copy of a model with parameters drawn anew, as before any training."""

from typing import Any

import torch
from torch import nn

from narrower.errors import ModelError
from narrower.graph.own_copy import own_copy

RESETS = ("reset_parameters", "_reset_parameters")  # what PyTorch's modules call it


def untrained(model: nn.Module, seed: int) -> nn.Module:
    """A copy whose parameters, and statistics of batch norms, are as its modules draw them.

    Raises:
        ModelError: a module does not say how to draw its parameters.
    """
    copied = own_copy(model)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for name, module in copied.named_modules():
            reset: Any = next((getattr(module, each) for each in RESETS if hasattr(module, each)), None)
            if reset is not None:
                reset()
            elif own := [key for key, _ in module.named_parameters(recurse=False)]:
                raise ModelError(
                    f"{name or type(model).__name__}: a {type(module).__name__} does not say how {own[0]} is "
                    "drawn before training; allowed are modules with a method reset_parameters"
                )
    return copied
