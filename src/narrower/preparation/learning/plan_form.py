"""Learned networks as what the rest of the program knows: a plan, and weights that it leaves as they are."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from narrower.errors import NarrowerError
from narrower.plan.formats.fixed_each import FixedEach
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.plan import LayerPlan, Plan
from narrower.preparation.learning.deployed import Integers, LearnedChain, LearnedLayer, bit_lengths, odd_part
from narrower.preparation.learning.hardware_widths import rounded_up
from narrower.preparation.learning.settings import WeightGranularity

SHARED_AXES: dict[str, tuple[int, ...]] = {"weight": (), "channel": (1,), "tensor": (0, 1)}  # of [O, I]
LEAST_FRACTION = -128  # below all fractions


def plan_of(
    chain: LearnedChain,
    names: Sequence[str],
    granularity: WeightGranularity = "weight",
    allowed: Sequence[int] = (),
) -> Plan:
    """The formats of each layer by its name: the bits that weights need and a sign, and the data's widths.

    The weights of a channel, or of a tensor, have one format where ``granularity`` says so. Where ``allowed``
    lists widths, weights have the smallest of it that holds them.
    """
    layers = {}
    for name, layer in zip(names, chain.layers, strict=True):
        data = FixedEach(
            layer.data_widths.astype(np.int8),
            layer.data_fractions.astype(np.int8),
            layer.data_signed.astype(np.int8),
            "wrap" if layer.data_wrap else "saturate",
        )
        weight = _held_format(layer.weights.T, layer.weight_fractions.T, SHARED_AXES[granularity], allowed)
        layers[name] = LayerPlan(data, weight, _held_format(layer.biases, layer.bias_fractions))
    return Plan.of(layers)


def _held_format(
    steps: Integers, fractions: Integers, shared: tuple[int, ...] = (), allowed: Sequence[int] = ()
) -> FixedEach:
    """Of numbers that are rounded already: their bits, and a sign for those that are not zero.

    Entries along the ``shared`` axes have the format that holds them all.
    """
    signs = steps != 0
    widths = bit_lengths(steps)
    if shared:
        is_used = signs.any(shared, keepdims=True)
        finest = np.where(signs, fractions, LEAST_FRACTION).max(shared, keepdims=True)
        widths = np.where(signs, widths + finest - fractions, 0).max(shared, keepdims=True)
        widths, fractions, signs = np.broadcast_arrays(widths, np.where(is_used, finest, 0), is_used, steps)[
            :3
        ]
    widths = widths + signs
    if allowed:
        widths = rounded_up(widths, allowed)
    return FixedEach(
        widths.astype(np.int8), fractions.astype(np.int8), signs.astype(np.int8), overflow="symmetric"
    )


def state_of(chain: LearnedChain, names: Sequence[str]) -> dict[str, Tensor]:
    """Weights [O, I] and biases [O] as float32, which holds each of them exactly."""
    state = {}
    for name, layer in zip(names, chain.layers, strict=True):
        state[f"{name}.weight"] = torch.from_numpy(layer.weight_values.T.astype(np.float32)).contiguous()
        state[f"{name}.bias"] = torch.from_numpy(layer.bias_values.astype(np.float32))
    return state


def chain_of(state: Mapping[str, Tensor], plan: Plan, names: Sequence[str]) -> LearnedChain:
    """The other way around.

    Raises:
        NarrowerError: a layer's formats are not learned ones.
    """
    return LearnedChain(tuple(_layer_of(state, plan.layer(name), name) for name in names))


def _layer_of(state: Mapping[str, Tensor], formats: LayerPlan, name: str) -> LearnedLayer:
    data = _learned(formats.data, name, "data")
    weight, bias = _learned(formats.weight, name, "weight"), _learned(formats.bias, name, "bias")
    weights, weight_fractions = odd_part(*_steps(state[f"{name}.weight"], weight))
    biases, bias_fractions = odd_part(*_steps(state[f"{name}.bias"], bias))
    return LearnedLayer(
        weights=weights.T,
        weight_fractions=weight_fractions.T,
        biases=biases,
        bias_fractions=bias_fractions,
        data_widths=data.widths.astype(np.int64),
        data_fractions=data.fracs.astype(np.int64),
        data_signed=data.signs != 0,
        data_wrap=data.overflow == "wrap",
    )


def _learned(number_format: NumberFormat, name: str, operand: str) -> FixedEach:
    if not isinstance(number_format, FixedEach):
        raise NarrowerError(f"{name}: its {operand} is {number_format.text}, no learned format")
    return number_format


def _steps(values: Tensor, number_format: FixedEach) -> tuple[Integers, Integers]:
    """Values in steps, and the fractions of these."""
    fractions = number_format.fracs.astype(np.int64)
    return np.ldexp(values.double().numpy(), fractions).astype(np.int64), fractions


def as_model(chain: LearnedChain) -> tuple[nn.Module, list[str]]:
    """Linear layers with ReLU between them, holding a chain's weights; and the names of those layers."""
    modules: list[nn.Module] = []
    names = []
    for layer in chain.layers:
        names.append(str(len(modules)))
        modules += [nn.Linear(*layer.weights.shape), nn.ReLU()]
    model = nn.Sequential(*modules[:-1]).eval()
    model.load_state_dict(state_of(chain, names))
    return model, names
