"""A first gradient, before PyTorch pretends to have devices that are not there."""

from functools import cache

import torch


@cache
def take_first_gradient() -> None:
    """Let PyTorch decide now, once for this process, which devices have threads for gradients.

    While something is exported, a PyTorch that was built for a device pretends that there is one. Where the
    first gradient comes after that, threads for it begin, and no copy of this process (by fork) can train.
    """
    start = torch.zeros(1, requires_grad=True)
    torch.autograd.grad(start.sum(), start)
