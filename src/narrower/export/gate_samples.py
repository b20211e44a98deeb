"""The samples that artefacts are compared on."""

import torch
from torch import Tensor

from narrower.cost.network_cost import NetworkCost
from narrower.data.datasets import DataSet
from narrower.graph.network import Network

LEAST, MOST = 1_000, 10_000
AFFORDABLE_MACS = 1e10
NOISE = 0.1  # standard deviation; inputs are standardised


def gate_samples(data: DataSet, count: int) -> tuple[tuple[Tensor, ...], int]:
    """``count`` inputs: test, validation and training samples, then all of them again, changed a little.

    Real numbers get noise; whole numbers, such as token ids, are drawn from those of other samples at the
    same place. Returns each argument of the model, and how many samples are the data
    set's own. Arguments of one shape, as tokens and what says which of them count, are drawn together.
    """
    parts = (data.test, data.validation, data.train)
    every = tuple(torch.cat(each) for each in zip(*(part.arguments for part in parts), strict=True))
    samples = len(every[0])
    generator = torch.Generator().manual_seed(0)
    pieces = [[own] for own in every]
    for _ in range(-(-count // samples) - 1):
        drawn: dict[tuple[int, ...], Tensor] = {}
        for own, found in zip(every, pieces, strict=True):
            if own.is_floating_point():
                found.append(_with_noise(own, generator))
                continue
            flat = own.flatten(1)
            if flat.shape not in drawn:
                drawn[flat.shape] = torch.randint(samples, flat.shape, generator=generator)
            found.append(flat.gather(0, drawn[flat.shape]).view(own.shape))
    return tuple(torch.cat(found)[:count] for found in pieces), min(samples, count)


def _with_noise(own: Tensor, generator: torch.Generator) -> Tensor:
    return own + NOISE * torch.randn(own.shape, generator=generator)


def affordable_count(network: Network) -> int:
    """10,000 samples for small networks, 1,000 for others."""
    return MOST if NetworkCost(network).macs * MOST <= AFFORDABLE_MACS else LEAST
