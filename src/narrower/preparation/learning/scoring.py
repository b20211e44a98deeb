"""How many samples deployed networks get right, and which candidates are worth deploying."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from narrower.preparation.learning.deployed import LearnedChain
from narrower.preparation.learning.network import LearnedNetwork
from narrower.preparation.learning.price import EBOPS, Price
from narrower.tasks.classification.decided import decided
from narrower.tasks.classification.task import is_right

SAMPLES_AT_ONCE = 2200


def hits_of(chain: LearnedChain, inputs_ni: NDArray[np.float32], targets: NDArray[np.int64]) -> int:
    """How many samples get their class; of equal outputs the first counts."""
    hits = 0
    for start in range(0, len(targets), SAMPLES_AT_ONCE):
        some = slice(start, start + SAMPLES_AT_ONCE)
        hits += int((decided(chain.outputs(inputs_ni[some])) == targets[some]).sum())
    return hits


def quick_scores(
    network: LearnedNetwork, inputs_in: Tensor, targets: Tensor, price: Price = EBOPS
) -> tuple[list[int], list[float]]:
    """How many samples [I, N] each candidate gets right, and about what it costs (``quick_costs``).

    The numbers are those that ``network`` rounded last, data not yet bounded.
    """
    hits = torch.zeros(network.layout.candidates, dtype=torch.int64)
    largest = [torch.zeros(shape) for shape in network.layout.data_shapes]
    for start in range(0, len(targets), SAMPLES_AT_ONCE):
        some = slice(start, start + SAMPLES_AT_ONCE)
        outputs = network.forward(inputs_in[:, some])
        hits += is_right(outputs, targets[some]).sum(1)
        for most, data in zip(largest, network.data_of(outputs.shape[2]), strict=True):
            torch.maximum(most, data.amax(2), out=most)
    costs = quick_costs(network, largest) if price is EBOPS else network.cost(price).tolist()
    return hits.tolist(), costs


def largest_data(network: LearnedNetwork, inputs_in: Tensor) -> list[Tensor]:
    """The largest data [C, I] of each layer in steps, not bounded, over samples [I, N]."""
    largest = [torch.zeros(shape) for shape in network.layout.data_shapes]
    for some in torch.split(inputs_in, SAMPLES_AT_ONCE, dim=1):
        network.forward(some)
        for most, data in zip(largest, network.data_of(some.shape[1]), strict=True):
            torch.maximum(most, data.amax(2), out=most)
    return largest


def quick_costs(network: LearnedNetwork, largest: list[Tensor]) -> list[float]:
    """Effective bit operations of each candidate if its data are as large as ``largest`` [C, I] by layer.

    Fewer samples than those that the deployed widths are made for rarely take more bits than they do.
    """
    layout = network.layout
    bits = [part[:, :-1] for part in layout.coefficients(_needed_bits(network.rounded.integers))]
    data_bits = [
        layout.data(network.data_bits)[0],
        *(torch.ceil(torch.log2(most + 1)) for most in largest[1:]),
    ]
    costs = torch.zeros(layout.candidates)
    is_read = torch.ones(layout.candidates, 1, layout.sizes[-1])
    for layer in range(layout.depth - 1, -1, -1):
        used = bits[layer] * is_read
        costs += (data_bits[layer][:, :, None] * used).sum((1, 2))
        is_read = ((used.sum(2) > 0) & (data_bits[layer] > 0)).float()[:, None, :]
    found: list[float] = costs.tolist()
    return found


def _needed_bits(integers: Tensor) -> Tensor:
    whole = integers.abs().to(torch.int32)
    odd = torch.div(whole, (whole & -whole).clamp_min(1), rounding_mode="floor")
    return torch.ceil(torch.log2(odd.float() + 1))
