"""The samples that artefacts are compared on."""

import torch
from torch import Tensor

from narrower.cost.network_cost import NetworkCost
from narrower.data.datasets import DataSet
from narrower.graph.network import Network

LEAST, MOST = 1_000, 10_000
AFFORDABLE_MACS = 1e10
NOISE = 0.1  # standard deviation; inputs are standardised


def gate_samples(data: DataSet, count: int) -> tuple[Tensor, int]:
    """``count`` inputs: test, validation and training samples, then all of them again, changed a little.

    Real numbers get noise; whole numbers, such as token ids, are drawn from those of other samples at the
    same place. Returns the inputs and how many of them are the data set's own.
    """
    own = torch.cat([part.inputs for part in (data.test, data.validation, data.train)])
    if len(own) >= count:
        return own[:count], count
    generator = torch.Generator().manual_seed(0)
    changed = _with_noise if own.is_floating_point() else _drawn_anew
    pieces = [own]
    while sum(len(piece) for piece in pieces) < count:
        pieces.append(changed(own, generator))
    return torch.cat(pieces)[:count], len(own)


def _with_noise(own: Tensor, generator: torch.Generator) -> Tensor:
    return own + NOISE * torch.randn(own.shape, generator=generator)


def _drawn_anew(own: Tensor, generator: torch.Generator) -> Tensor:
    flat = own.flatten(1)
    return flat.gather(0, torch.randint(len(own), flat.shape, generator=generator)).view(own.shape)


def affordable_count(network: Network) -> int:
    """10,000 samples for small networks, 1,000 for others."""
    return MOST if NetworkCost(network).macs * MOST <= AFFORDABLE_MACS else LEAST
