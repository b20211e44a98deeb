"""The cost in the loss of a chain is what the plan of the deployed chain costs, and so its derivatives."""

import pytest
import torch

from narrower.cost.network_cost import NetworkCost
from narrower.export.luts import ebops
from narrower.graph.lower import lower
from narrower.graph.program import Program
from narrower.graph.trace import trace
from narrower.plan.plan import Plan
from narrower.preparation.learning.deployed import LearnedChain
from narrower.preparation.learning.layout import Layout
from narrower.preparation.learning.network import LearnedNetwork, Parameters
from narrower.preparation.learning.plan_form import as_model, plan_of
from narrower.preparation.learning.price import price_of
from narrower.preparation.learning.settings import LEARNED_COSTS, LearnSettings, WeightGranularity
from narrower.preparation.learning.start import grouping
from tests.preparation.learning.test_deployed import frozen, samples

SIZES = (6, 8, 7, 3)
GRANULARITIES: tuple[WeightGranularity, ...] = ("weight", "channel", "tensor")


def drawn(granularity: WeightGranularity, seed: int) -> tuple[LearnedNetwork, Parameters, LearnedChain]:
    """A network whose weights need every bit that they have, some none, and what is deployed of it."""
    layout = Layout(1, SIZES)
    network = LearnedNetwork(layout, grouping(layout, LearnSettings(weight_granularity=granularity)))
    vector = torch.zeros(network.parameter_count)
    own, chance = network.parameters(vector), torch.Generator().manual_seed(seed)
    fewest = 0 if granularity == "weight" else 1
    own.bits.copy_(torch.randint(fewest, 6, own.bits.shape, generator=chance))
    own.integer_bits.copy_(torch.randint(-1, 2, own.bits.shape, generator=chance))
    own.data_fractions.copy_(torch.randint(0, 4, own.data_fractions.shape, generator=chance))
    groups = network.grouping.coefficients
    bits, integer_bits = (part if groups is None else part[groups] for part in (own.bits, own.integer_bits))
    signs = 2 * torch.randint(0, 2, own.values.shape, generator=chance) - 1
    own.values.copy_(signs * (2**bits - 1) * 2 ** (integer_bits - bits))
    network.round(own)
    inputs = samples(seed, 300, SIZES[0])
    chain = frozen(network, SIZES, inputs)
    _give_widths(network, own, chain, granularity)
    return network, own, chain


def _give_widths(
    network: LearnedNetwork, own: Parameters, chain: LearnedChain, granularity: WeightGranularity
) -> None:
    """The widths that the deployed chain has; weights that became idle have none."""
    layout = network.layout
    for data_bits, layer in zip(layout.data(network.integer_bits_of_data), chain.layers, strict=True):
        data_bits[0] = torch.from_numpy(layer.data_widths - layer.data_fractions)
    if granularity == "weight":
        for bits, layer in zip(layout.coefficients(own.bits), chain.layers, strict=True):
            bits[0, :-1] *= torch.from_numpy(layer.weights != 0)
            bits[0, -1] *= torch.from_numpy(layer.biases != 0)
    network.round(own)


def costs_of(chain: LearnedChain, plan: Plan, program: Program) -> dict[str, float]:
    return {**NetworkCost(program.network).of(plan), "ebops": ebops(program, plan)}


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_a_relaxed_cost_of_a_chain_is_that_of_the_plan(granularity: WeightGranularity, seed: int) -> None:
    network, _, chain = drawn(granularity, seed)
    model, names = as_model(chain)
    program = lower(trace(model, torch.from_numpy(samples(seed, 3, SIZES[0]))))
    costs = costs_of(chain, plan_of(chain, names, granularity), program)
    for name in LEARNED_COSTS:
        relaxed = float(network.cost(price_of(name, program.network)))
        assert relaxed == pytest.approx(costs[name], rel=1e-5), name
        assert costs[name] > 0


@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_a_gradient_of_a_cost_is_what_one_bit_less_saves(granularity: WeightGranularity) -> None:
    network, own, chain = drawn(granularity, 0)
    program = lower(trace(as_model(chain)[0], torch.zeros(3, SIZES[0])))
    wide, used = torch.nonzero(own.bits > 1).flatten()[::7], torch.nonzero(network.data_bits > 1).flatten()
    for name in LEARNED_COSTS:
        price = price_of(name, program.network)
        before = float(network.cost(price))
        gradients = network.parameters(torch.zeros(network.parameter_count))
        network.add_cost_gradients(torch.ones(network.layout.data_count), gradients, price)
        for widths, of_widths, some in (
            (own.bits, gradients.bits, wide),
            (own.data_fractions, gradients.data_fractions, used),
        ):
            for entry in some.tolist():
                widths[entry] -= 1
                network.round(own)
                saved = before - float(network.cost(price))
                widths[entry] += 1
                network.round(own)
                assert float(of_widths[entry]) == pytest.approx(saved, rel=1e-3, abs=1e-3), name
