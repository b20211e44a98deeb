"""The hand-written step of learned widths against its definition, differentiated by PyTorch."""

from math import log
from typing import Any

import pytest
import torch
from torch import Tensor

from narrower.preparation.learning.layout import Layout
from narrower.preparation.learning.network import Grouping, LearnedNetwork
from narrower.preparation.learning.settings import LearnSettings
from narrower.preparation.learning.start import grouping, start

SIZES = (5, 4, 3, 3)
SAMPLES = 40


class _Rounded(torch.autograd.Function):
    """``floor(x * 2**f + 1/2) / 2**f``, straight through, dy/df = ln 2 * (x - y)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, fraction: Tensor) -> Tensor:
        y = torch.floor(x * 2**fraction + 0.5) * 2**-fraction
        ctx.save_for_backward(x - y)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        (rest,) = ctx.saved_tensors
        return gradient, gradient * rest * log(2)


def _whole(x: Tensor) -> Tensor:
    """Rounded, with the gradient 1."""
    return x + (x.round() - x).detach()


def _coefficients(values: Tensor, bits: Tensor, integer_bits: Tensor) -> Tensor:
    """Clip at ``2**i - 2**-f``, whose gradient is PyTorch's own, then round."""
    bits, integer_bits = _whole(bits), _whole(integer_bits)
    limit = 2**integer_bits - 2 ** (integer_bits - bits)
    clipped = torch.where(values > limit, limit, torch.where(values < -limit, -limit, values))
    rounded: Tensor = _Rounded.apply(clipped, bits - integer_bits)  # type: ignore[no-untyped-call]
    return rounded


def _reference(layout: Layout, network: LearnedNetwork, vector: Tensor, inputs: Tensor) -> list[Tensor]:
    """Outputs [N, O] of each candidate, in plain operations."""
    own = network.parameters(vector)
    groups = network.grouping
    bits = own.bits if groups.coefficients is None else own.bits[groups.coefficients]
    integer_bits = own.integer_bits if groups.coefficients is None else own.integer_bits[groups.coefficients]
    fractions = own.data_fractions if groups.data is None else own.data_fractions[groups.data]
    coefficients = layout.coefficients(_coefficients(own.values, bits, integer_bits))
    data_fractions = layout.data(_whole(fractions))
    outputs = []
    for candidate in range(layout.candidates):
        x = inputs
        for layer in range(layout.depth):
            if layer > 0:
                x = x.relu()
            x = _Rounded.apply(x, data_fractions[layer][candidate])  # type: ignore[no-untyped-call]
            matrix = coefficients[layer][candidate]
            x = x @ matrix[:-1] + matrix[-1]
        outputs.append(x)
    return outputs


def _started(granularity: LearnSettings, candidates: int = 2) -> tuple[LearnedNetwork, Tensor]:
    layout = Layout(candidates, SIZES)
    network = LearnedNetwork(layout, grouping(layout, granularity))
    vector = torch.zeros(network.parameter_count)
    own = network.parameters(vector)
    start(own, layout, granularity, [SIZES] * candidates, range(candidates))
    generator = torch.Generator().manual_seed(1)
    # zero to five bits of which -1 to 1 before the point: many saturate, and some are pruned
    own.values[layout.bias_mask] = 0.3
    own.bits.uniform_(-0.4, 5.4, generator=generator)
    own.integer_bits.uniform_(-1.4, 1.4, generator=generator)
    own.data_fractions.uniform_(-0.4, 4.4, generator=generator)
    return network, vector


GRANULARITIES = [
    LearnSettings(),
    LearnSettings(weight_granularity="channel"),
    LearnSettings(weight_granularity="tensor", data_granularity="tensor"),
]


@pytest.mark.parametrize("settings", GRANULARITIES)
def test_outputs_and_gradients_are_those_of_the_definition(settings: LearnSettings) -> None:
    network, vector = _started(settings)
    layout = network.layout
    generator = torch.Generator().manual_seed(2)
    inputs = torch.randn(SAMPLES, SIZES[0], generator=generator)
    targets = torch.rand(SAMPLES, SIZES[-1], generator=generator).softmax(1)

    reference = vector.clone().requires_grad_()
    outputs = _reference(layout, network, reference, inputs)
    sum(torch.nn.functional.cross_entropy(y, targets) for y in outputs).backward()

    gradient = torch.zeros_like(vector)
    network.round(network.parameters(vector))
    found = network.forward(inputs.T).transpose(1, 2)
    network.backward(targets.T, network.parameters(gradient))

    torch.testing.assert_close(found, torch.stack([y.detach() for y in outputs]))
    assert reference.grad is not None
    torch.testing.assert_close(gradient, reference.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("settings", GRANULARITIES)
def test_the_gradient_of_the_cost_is_that_of_the_sum_of_products(settings: LearnSettings) -> None:
    network, vector = _started(settings)
    layout, groups = network.layout, network.grouping
    network.integer_bits_of_data.fill_(1.0)
    network.round(network.parameters(vector))
    gradient = torch.zeros_like(vector)
    network.add_cost_gradients(torch.full((layout.data_count,), 2.0), network.parameters(gradient))

    reference = vector.clone().requires_grad_()
    own = network.parameters(reference)
    bits = _whole(own.bits if groups.coefficients is None else own.bits[groups.coefficients])
    fractions = own.data_fractions if groups.data is None else own.data_fractions[groups.data]
    data_bits = layout.data((_whole(fractions) + 1).relu())
    costs = torch.stack(
        [
            (x[:, :, None] * w[:, :-1]).sum((1, 2))
            for x, w in zip(data_bits, layout.coefficients(bits), strict=True)
        ]
    ).sum(0)
    (2 * costs.sum()).backward()

    torch.testing.assert_close(network.cost(), costs.detach())
    torch.testing.assert_close(gradient, reference.grad)


def test_a_width_of_zero_prunes_and_can_come_back() -> None:
    layout = Layout(1, (1, 2))
    network = LearnedNetwork(layout, Grouping(None, None))
    vector = torch.zeros(network.parameter_count)
    own = network.parameters(vector)
    own.values[0] = 0.75  # the only weight that is not zero, without bits
    own.integer_bits.fill_(1)
    own.data_fractions.fill_(2)
    network.round(own)
    outputs = network.forward(torch.tensor([[1.0, 2.0]]))
    assert outputs.abs().max() == 0
    gradient = torch.zeros_like(vector)
    network.backward(torch.tensor([[1.0, 1.0], [0.0, 0.0]]), network.parameters(gradient))
    assert network.parameters(gradient).bits[0] < 0  # going against it, the width grows


def test_the_largest_data_give_the_integer_bits() -> None:
    layout = Layout(1, (1, 3, 2))
    network = LearnedNetwork(layout, Grouping(None, None))
    vector = torch.zeros(network.parameter_count)
    own = network.parameters(vector)
    own.values[:3] = torch.tensor([1.0, 3.0, 0.0])  # outputs up to 4, up to 12, and zero
    own.bits.fill_(6)
    own.integer_bits.fill_(3)
    network.set_input_range(torch.tensor([[-3.0, 4.0]]))
    network.round(own)
    network.forward(torch.tensor([[-3.0, 4.0]]))
    network.follow_largest(2, 1)
    read, *hidden = network.integer_bits_of_data.tolist()
    assert read == 4  # 4 takes three bits, and a sign
    assert hidden[:2] == [3, 4]
    assert hidden[2] < -30
    assert network.data_bits.tolist() == [4, 3, 4, 0]
