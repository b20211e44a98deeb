"""The bits of what trainings came to, as one text that can be compared."""

import hashlib
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor


def bits_of(states: Iterable[Mapping[str, Tensor] | str]) -> str:
    """A digest of tensors with their names, or of why there are none, in their order."""
    digest = hashlib.sha256()
    for state in states:
        if isinstance(state, str):
            digest.update(state.encode())
            continue
        for name, tensor in state.items():
            digest.update(name.encode())
            digest.update(tensor.detach().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
