"""Deployed networks: in integers, in floats and without what is idle they are the same."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from narrower.export.luts import ebops
from narrower.graph.lower import lower
from narrower.graph.trace import trace
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan
from narrower.preparation.learning.deployed import LearnedChain, LearnedLayer, bit_lengths, odd_part
from narrower.preparation.learning.freeze import fit_widths, freeze, without_idle
from narrower.preparation.learning.layout import Layout
from narrower.preparation.learning.network import Grouping, LearnedNetwork
from narrower.preparation.learning.scoring import largest_data


def random_chain(seed: int, sizes: tuple[int, ...] = (4, 5, 3, 2), sparsity: float = 0.5) -> LearnedChain:
    """Odd weights up to 15 at fractions up to 5, many of them zero; data of up to 4 bits."""
    rng = np.random.default_rng(seed)
    layers = []
    for number, (inputs, outputs) in enumerate(pairwise(sizes)):
        weights = rng.integers(-15, 16, (inputs, outputs)) * (rng.random((inputs, outputs)) > sparsity)
        weights, fractions = odd_part(weights, rng.integers(0, 6, (inputs, outputs)))
        biases, bias_fractions = odd_part(rng.integers(-20, 21, outputs), rng.integers(0, 6, outputs))
        layers.append(
            LearnedLayer(
                weights,
                fractions,
                biases,
                bias_fractions,
                rng.integers(0, 5, inputs),
                rng.integers(-1, 4, inputs),
                np.full(inputs, number == 0),
            )
        )
    return LearnedChain(tuple(layers))


def frozen(network: LearnedNetwork, sizes: tuple[int, ...], inputs: np.ndarray) -> LearnedChain:
    """The first candidate with the widths that data take on these samples."""
    ends = np.stack([inputs.min(0), inputs.max(0)])
    return freeze(network, 0, sizes, ends, largest_data(network, torch.from_numpy(inputs).T))


def samples(seed: int, count: int = 200, inputs: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 2, (count, inputs)).astype(np.float32)


@given(st.integers(0, 2**20), st.booleans())
@settings(max_examples=40, deadline=None)
def test_floats_compute_what_integers_do(seed: int, wrap: bool) -> None:
    first, *others = random_chain(seed).layers
    chain = LearnedChain((first, *(replace(layer, data_wrap=wrap) for layer in others)))
    inputs = samples(seed)
    whole, fraction = chain.whole_outputs(inputs)
    assert (np.ldexp(whole.astype(np.float64), -fraction) == chain.outputs(inputs)).all()


@given(st.integers(0, 2**20), st.sampled_from([0.3, 0.7, 0.9]))
@settings(max_examples=40, deadline=None)
def test_what_is_idle_changes_nothing(seed: int, sparsity: float) -> None:
    chain, inputs = random_chain(seed, sparsity=sparsity), samples(seed)
    less = without_idle(chain)
    assert (less.outputs(inputs) == chain.outputs(inputs)).all()
    assert less.ebops <= chain.ebops


@given(st.integers(0, 2**20))
@settings(max_examples=40, deadline=None)
def test_fitted_widths_change_nothing_on_the_samples(seed: int) -> None:
    chain, inputs = random_chain(seed, sparsity=0.3), samples(seed)
    fitted = fit_widths(chain, inputs)
    # the first chain clips; a chain of wide data does not
    wide = LearnedChain(tuple(_with_widths(layer, 20) for layer in chain.layers))
    assert (fit_widths(wide, inputs).outputs(inputs) == fitted.outputs(inputs)).all()
    assert (fitted.outputs(inputs) == wide.outputs(inputs)).all()
    for layer, (steps, _) in zip(fitted.layers, fitted.passes(inputs), strict=True):
        low, high = layer.data_limits
        used = layer.data_widths > 0
        # one bit less would cut a sample
        assert ((steps.max(0) > high // 2) | (steps.min(0) < -((1 - low) // 2)))[used].all()


def _with_widths(layer: LearnedLayer, width: int) -> LearnedLayer:
    count = len(layer.weights)
    return replace(layer, data_widths=np.full(count, width), data_signed=np.full(count, True))


def test_by_hand() -> None:
    layer = LearnedLayer(
        weights=np.array([[3], [0], [-1]]),  # 1.5, 0, -0.25
        weight_fractions=np.array([[1], [0], [2]]),
        biases=np.array([5]),  # 0.625
        bias_fractions=np.array([3]),
        data_widths=np.array([3, 0, 2]),
        data_fractions=np.array([0, 0, 1]),
        data_signed=np.array([True, False, False]),
    )
    chain = LearnedChain((layer,))
    inputs = np.array([[1.5, 9, 0.75], [-7, 9, -1], [-1.5, 9, 100]], np.float32)
    # half up: 2, -4 (saturated), -1; and 1 (in halves: 2), 0, 1.5 (saturated at 3 halves)
    expected = [2 * 1.5 - 0.25 + 0.625, -4 * 1.5 + 0.625, -1.5 - 0.375 + 0.625]
    assert chain.outputs(inputs)[:, 0].tolist() == expected
    assert chain.ebops == 3 * 2 + 0 + 2 * 1


def test_odd_parts() -> None:
    steps, fractions = odd_part(np.array([12, -8, 0, 7, -1]), np.array([5, 0, 9, 2, -3]))
    assert steps.tolist() == [3, -1, 0, 7, -1]
    assert fractions.tolist() == [3, -3, 0, 2, -3]
    assert bit_lengths(np.array([0, 1, -2, 3, 255, -256])).tolist() == [0, 1, 2, 2, 8, 9]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_relaxed_cost_at_deployed_widths_is_the_cost_of_the_exported_plan(seed: int) -> None:
    """Per-tensor data, so that a plan of today's formats can say the same network."""
    sizes, fractions, inputs = (6, 5, 3), (3, 4), samples(seed, 300, 6)
    layout = Layout(1, sizes)
    network = LearnedNetwork(layout, Grouping(None, None))
    vector = torch.zeros(network.parameter_count)
    own = network.parameters(vector)
    own.values.normal_(generator=torch.Generator().manual_seed(seed))
    own.bits.fill_(5)
    own.integer_bits.fill_(1)
    for part, fraction in zip(layout.data(own.data_fractions), fractions, strict=True):
        part.fill_(fraction)
    network.round(own)
    chain = frozen(network, sizes, inputs)
    # as deployed per tensor: every width that of the widest
    widths = [int(layer.data_widths.max()) for layer in chain.layers]
    chain = LearnedChain(
        tuple(
            LearnedLayer(
                layer.weights,
                layer.weight_fractions,
                layer.biases,
                layer.bias_fractions,
                np.full(len(layer.weights), width),
                layer.data_fractions,
                np.full(len(layer.weights), bool(layer.data_signed.any())),
            )
            for layer, width in zip(chain.layers, widths, strict=True)
        )
    )
    # the relaxed network with the widths that are deployed
    for bits, integer_bits, layer in zip(
        layout.coefficients(own.bits), layout.coefficients(own.integer_bits), chain.layers, strict=True
    ):
        bits[0, :-1] = torch.from_numpy(layer.weight_widths)
        integer_bits[0, :-1] = torch.from_numpy(layer.weight_widths - layer.weight_fractions)
    for data_bits, layer in zip(layout.data(network.integer_bits_of_data), chain.layers, strict=True):
        data_bits[0] = torch.from_numpy(layer.data_widths - layer.data_fractions)
    network.round(own)
    relaxed = network.cost().item()

    model, plan = _as_model(chain)
    program = lower(trace(model, torch.from_numpy(inputs[:3])))
    assert relaxed == chain.ebops == ebops(program, plan)
    # and rounding those weights once more leaves them as they are
    again = frozen(network, sizes, inputs)
    for layer, same in zip(chain.layers, again.layers, strict=True):
        assert (layer.weight_values == same.weight_values).all()


def _as_model(chain: LearnedChain) -> tuple[nn.Module, Plan]:
    """Linear layers with ReLU, and formats per tensor that hold a chain's weights."""
    modules: list[nn.Module] = []
    plans = {}
    for layer in chain.layers:
        linear = nn.Linear(*layer.weights.shape)
        linear.weight.data = torch.from_numpy(layer.weight_values.T).float()
        linear.bias.data = torch.from_numpy(layer.bias_values).float()
        signed = bool(layer.data_signed.any())
        data = FixedPoint(int(layer.data_widths[0]), int(layer.data_fractions[0]), signed)
        weight = FixedPoint(16, int(layer.weight_fractions.max()))
        plans[str(len(modules))] = LayerPlan(data, weight)
        modules += [linear, nn.ReLU()]
    return nn.Sequential(*modules[:-1]).eval(), Plan.of(plans)
