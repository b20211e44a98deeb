"""Multiply-accumulates as PyTorch counts them."""

import warnings

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode


def counted_by_torch(model: nn.Module, *arguments: Tensor) -> int:
    """PyTorch counts 2 for each; attention and recurrent layers only where their products are visible."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    counter = FlopCounterMode(display=False)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # about what other processors could do
            with torch.backends.mkldnn.flags(enabled=False), sdpa_kernel(SDPBackend.MATH), counter:
                model(*arguments)
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
    assert counter.get_total_flops() % 2 == 0
    return counter.get_total_flops() // 2
