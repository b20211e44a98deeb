"""Costs that widths are learned for, as functions of widths that have derivatives.

At whole widths they are the costs by which plans are compared (``cost/network_cost.py``). Bits of a weight
count no sign here; with it a weight that is not zero has one more.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from narrower.cost.energy import ATTOJOULES, multiply_accumulate_attojoules
from narrower.cost.network_cost import FLOAT_BITS, NetworkCost
from narrower.errors import SettingsError
from narrower.graph.network import Network
from narrower.preparation.learning.settings import LEARNED_COSTS

# From bits of data (with a sign where there is one) and of weights: the cost of their product, and its
# derivatives by the one and by the other.
OfPairs = Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]
OfActivations = Callable[[Tensor], tuple[Tensor, Tensor]]  # of the products of two data of the same bits
BYTE = 8
WIDEST = 33  # with a sign


@dataclass(frozen=True, slots=True)
class Price:
    """A cost: of multiply-accumulates of weights or of two data, and of each bit of weights and biases.

    ``rest`` is what everything costs that no width changes. ``by_needed_bits``: a weight's bits are those
    that its value needs, not those of its format.
    """

    name: str
    of_pairs: OfPairs | None = None
    of_activations: OfActivations | None = None
    by_weight_bit: float = 0.0
    by_bias_bit: float = 0.0
    rest: float = 0.0
    by_needed_bits: bool = False


def with_sign(bits: Tensor) -> Tensor:
    """Widths of weights as they are stored."""
    return bits + (bits > 0)


def _effective(data: Tensor, bits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return data * bits, bits, data


def _bitops(data: Tensor, bits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    widths = with_sign(bits)
    return data * widths, widths, data


def _squared(data: Tensor) -> tuple[Tensor, Tensor]:
    return data**2, 2 * data


def _energy(data: Tensor, bits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The derivatives are what one bit less saves; of zero bits, what the first one costs."""
    data, bits = data.long().clamp_max(WIDEST - 1), bits.long()
    widths = with_sign(bits)
    at = _ENERGIES[data, widths]
    fewer = with_sign((bits - 1).clamp_min(0))
    by_bits = torch.where(bits > 0, at - _ENERGIES[data, fewer], _ENERGIES[data, 2] - at)
    by_data = torch.where(
        data > 0, at - _ENERGIES[(data - 1).clamp_min(0), widths], _ENERGIES[1, widths] - at
    )
    return at, by_data, by_bits


def _energy_of_activations(data: Tensor) -> tuple[Tensor, Tensor]:
    width = data.long().clamp_max(WIDEST - 1)
    at, fewer = _ENERGIES[width, width], (width - 1).clamp_min(0)
    return at, torch.where(width > 0, at - _ENERGIES[fewer, fewer], _ENERGIES[1, 1] - at)


def _energies() -> Tensor:
    """Picojoules by width of data and of weight; nothing is multiplied where one has no bits."""
    table = torch.zeros(WIDEST, WIDEST)
    for data in range(1, WIDEST):
        for weight in range(1, WIDEST):
            table[data, weight] = multiply_accumulate_attojoules(data, weight) / ATTOJOULES
    return table


_ENERGIES = _energies()
EBOPS = Price("ebops", _effective, _squared, by_needed_bits=True)


def price_of(cost: str, network: Network) -> Price:
    """The price of a cost for a network all of whose products are learned.

    Raises:
        SettingsError: widths are not learned for it.
    """
    every = NetworkCost(network)
    if cost == "ebops":
        return EBOPS
    if cost == "bitops":
        return Price(cost, _bitops, _squared)
    if cost == "energy":
        return Price(cost, _energy, _energy_of_activations)
    if cost == "average_bitwidth":
        return Price(cost, by_weight_bit=1 / max(1, every.weight_count))
    if cost == "model_size":
        held = {
            parameter.name: parameter.numel
            for operators in network.multiplying_layers.values()
            for operator in operators
            for parameter in (network.weight_of(operator), network.bias_of(operator))
            if parameter is not None
        }
        rest = (every.parameter_count - sum(held.values())) * FLOAT_BITS / BYTE
        return Price(cost, by_weight_bit=1 / BYTE, by_bias_bit=1 / BYTE, rest=rest)
    raise SettingsError(f"widths are not learned for {cost!r}; allowed: {', '.join(LEARNED_COSTS)}")
