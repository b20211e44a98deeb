"""Chains of linear layers whose widths are learned: forward, backward and cost of several at once.

Everything is computed in whole steps of the rounded numbers, so that rounding data is a floor and nothing
else: scales are folded into the coefficients, and half a step into the biases. Shapes in names: c
candidates, i what a layer reads, o its outputs, n samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from narrower.preparation.learning.layout import Layout
from narrower.preparation.learning.price import EBOPS, Price, with_sign
from narrower.preparation.learning.rounding import LN2, RoundedCoefficients

HALF_STEP = 0.5
NO_BITS = -64.0  # integer bits of data that were never above zero
FORGOTTEN_BITS = 0.01  # integer bits of data that a step without large values forgets


@dataclass(frozen=True)
class Parameters:
    """Parts of one flat vector: coefficients; by group, their bits, integer bits, and fractions of data."""

    values: Tensor
    bits: Tensor
    integer_bits: Tensor
    data_fractions: Tensor


@dataclass(frozen=True)
class Grouping:
    """Which coefficients share a width, and which data a fraction: group numbers; None: each has its own."""

    coefficients: Tensor | None
    data: Tensor | None


class LearnedNetwork:
    """Candidates [C] of equal sizes, each with its own numbers, all seeing the same samples."""

    def __init__(self, layout: Layout, grouping: Grouping, allowed_bits: Sequence[int] = ()) -> None:
        """``allowed_bits``: those that coefficients may have, without a sign; empty where all may be had."""
        self.layout, self.grouping = layout, grouping
        count = layout.coefficient_count
        self.width_count = count if grouping.coefficients is None else int(grouping.coefficients.max()) + 1
        self.fraction_count = layout.data_count if grouping.data is None else int(grouping.data.max()) + 1
        self.rounded = RoundedCoefficients(count, allowed_bits)
        self._read, self._written = layout.read_nodes, layout.written_nodes
        is_hidden_bias = layout.bias_mask & (self._written < layout.data_count)
        self._half_steps = is_hidden_bias.float() * HALF_STEP
        self._exponents = torch.zeros(layout.node_count)  # fractions of data; 0 for outputs and for the one
        self._weighted_bits = torch.zeros(layout.node_count)
        self.integer_bits_of_data = torch.full((layout.data_count,), NO_BITS)
        self._factors, self._shifted, self._products = (torch.empty(count) for _ in range(3))
        self._by_integers, self._gathered = torch.empty(count), torch.empty(count)
        self._spread_bits, self._spread_integer_bits = torch.empty(count), torch.empty(count)
        self._bit_sums, self._by_data = torch.zeros(layout.data_count), torch.zeros(layout.data_count)
        self._samples: dict[int, _Samples] = {}

    @property
    def parameter_count(self) -> int:
        return self.layout.coefficient_count + 2 * self.width_count + self.fraction_count

    def parameters(self, vector: Tensor) -> Parameters:
        """The parts of a flat vector, of parameters or of their gradients."""
        counts = [self.layout.coefficient_count, self.width_count, self.width_count, self.fraction_count]
        return Parameters(*torch.split(vector, counts))

    @property
    def data_fractions(self) -> Tensor:
        """Whole fractions of data as they were rounded last."""
        return self._exponents[: self.layout.data_count]

    def round(self, parameters: Parameters) -> None:
        """Round everything; what follows uses these numbers."""
        groups, fractions = self.grouping, self.data_fractions
        if groups.data is None:
            torch.round(parameters.data_fractions, out=fractions)
        else:
            torch.index_select(parameters.data_fractions.round(), 0, groups.data, out=fractions)
        bits, integer_bits = parameters.bits, parameters.integer_bits
        if groups.coefficients is not None:
            bits = torch.index_select(bits, 0, groups.coefficients, out=self._spread_bits)
            integer_bits = torch.index_select(
                integer_bits, 0, groups.coefficients, out=self._spread_integer_bits
            )
        self.rounded.round(parameters.values, bits, integer_bits)
        factors = torch.index_select(self._exponents, 0, self._written, out=self._factors)
        factors.sub_(torch.index_select(self._exponents, 0, self._read, out=self._gathered))
        torch.exp2(factors.sub_(self.rounded.fractions), out=factors)
        torch.mul(self.rounded.integers, factors, out=self._shifted).add_(self._half_steps)

    def forward(self, inputs_in: Tensor) -> Tensor:
        """Outputs [C, O, N] of samples [I, N]; an array that the next call overwrites."""
        at = self._samples_of(inputs_in.shape[1])
        first = self.layout.data(self._exponents)[0]
        torch.mul(inputs_in, torch.exp2(first)[:, :, None], out=at.scaled_inputs)
        torch.add(at.scaled_inputs, HALF_STEP, out=at.data[0]).floor_()
        last = self.layout.depth - 1
        for layer in range(last + 1):
            torch.bmm(at.turned_coefficients[layer], at.data_and_one[layer], out=at.sums[layer])
            if layer < last:
                torch.floor(at.sums[layer], out=at.data[layer + 1]).clamp_min_(0)
        return at.sums[last]

    def data_of(self, sample_count: int) -> list[Tensor]:
        """What each layer read in the last forward pass of so many samples: [C, I, N] in steps."""
        return self._samples_of(sample_count).data

    def backward(self, targets_on: Tensor, gradients: Parameters) -> None:
        """After ``forward``: the gradients of each candidate's mean cross entropy with shares [O, N]."""
        count = targets_on.shape[1]
        at = self._samples_of(count)
        last = self.layout.depth - 1
        torch.softmax(at.sums[last], 1, out=at.by_sums[last])
        at.by_sums[last].sub_(targets_on).div_(count)
        by_coefficients = self.layout.coefficients(gradients.values)
        for layer in range(last, -1, -1):
            torch.bmm(at.data_and_one[layer], at.turned_by_sums[layer], out=by_coefficients[layer])
            if layer > 0:
                by_sums = at.by_sums[layer - 1]
                torch.bmm(at.weights[layer], at.by_sums[layer], out=by_sums)
                torch.ops.aten.threshold_backward.grad_input(
                    by_sums, at.sums[layer - 1], HALF_STEP, grad_input=by_sums
                )
        torch.bmm(at.scaled_inputs, at.turned_by_sums[0], out=at.by_inputs)
        torch.mul(gradients.values, self._factors, out=self._by_integers)
        self._gradients_of_fractions(at, gradients)
        self._gradients_of_coefficients(gradients)

    def _gradients_of_fractions(self, at: "_Samples", gradients: Parameters) -> None:
        """ln 2 * sum over samples of (x - y) dL/dy, without looking at a sample.

        Both sums follow from the gradients of coefficients: x is a sum of products of the coefficients that
        write it, and y is multiplied by those that read it.
        """
        torch.mul(self._by_integers, self.rounded.integers, out=self._products)
        products = self.layout.coefficients(self._products)
        by_data = self.layout.data(self._by_data)
        for layer, out in enumerate(by_data):
            torch.sum(products[layer][:, :-1], 2, out=out)
            if layer == 0:
                out.neg_().add_(at.by_inputs.mul_(at.weights[0]).sum(2))
            else:
                out.neg_().add_(products[layer - 1].sum(1))
        self._by_data.mul_(LN2)
        if self.grouping.data is None:
            gradients.data_fractions.copy_(self._by_data)
        else:
            gradients.data_fractions.zero_().index_add_(0, self.grouping.data, self._by_data)

    def _gradients_of_coefficients(self, gradients: Parameters) -> None:
        groups = self.grouping.coefficients
        if groups is None:
            self.rounded.gradients(
                self._by_integers, gradients.values, gradients.bits, gradients.integer_bits
            )
            return
        self.rounded.gradients(
            self._by_integers, gradients.values, self._spread_bits, self._spread_integer_bits
        )
        gradients.bits.zero_().index_add_(0, groups, self._spread_bits)
        gradients.integer_bits.zero_().index_add_(0, groups, self._spread_integer_bits)

    def follow_largest(self, sample_count: int, steps: int) -> None:
        """After ``forward``, ``steps`` since the last call: follow the integer bits of the largest data."""
        at = self._samples_of(sample_count)
        bits = self.layout.data(self.integer_bits_of_data)
        for layer in range(1, self.layout.depth):
            needed = at.data[layer].amax(2).clamp_min_(2**NO_BITS).log2_().floor_().add_(1)
            needed.sub_(self.layout.data(self._exponents)[layer])
            torch.maximum(bits[layer].sub_(FORGOTTEN_BITS * steps), needed, out=bits[layer])

    def set_input_range(self, inputs_in: Tensor) -> None:
        """Integer bits, and the sign where there is one, of the network's inputs [I, N]."""
        largest = inputs_in.abs().amax(1).clamp_min(2**NO_BITS)
        bits = largest.log2().floor() + 1 + (inputs_in.amin(1) < 0)
        self.layout.data(self.integer_bits_of_data)[0][:] = bits

    def narrow_data(self, parameters: Parameters, most: int) -> None:
        """Lower the fractions of data so that none has more than ``most`` bits."""
        limits = most - self.integer_bits_of_data
        groups, fractions = self.grouping.data, parameters.data_fractions
        if groups is None:
            torch.minimum(fractions, limits, out=fractions)
        else:
            fractions.scatter_reduce_(0, groups, limits, "amin")

    @property
    def data_bits(self) -> Tensor:
        """Bits of each of the data, of the numbers rounded last."""
        return (self.integer_bits_of_data + self.data_fractions).clamp_min(0)

    def cost(self, price: Price = EBOPS) -> Tensor:
        """What the numbers rounded last cost [C]."""
        costs = self._costs_of_coefficients(price)[0]
        return price.rest + torch.stack([p.sum((1, 2)) for p in self.layout.coefficients(costs)]).sum(0)

    def _costs_of_coefficients(self, price: Price) -> tuple[Tensor, Tensor, Tensor]:
        """What each coefficient costs, and the derivatives by the bits of its data and by its own."""
        bits, is_bias = self.rounded.bits, self.layout.bias_mask
        by_bit = torch.where(is_bias, price.by_bias_bit, price.by_weight_bit)
        stored = by_bit * with_sign(bits)
        if price.of_pairs is None:
            return stored, torch.zeros_like(bits), by_bit
        self._weighted_bits[: self.layout.data_count] = self.data_bits
        of_pairs = price.of_pairs(self._weighted_bits[self._read], bits)
        cost, by_data, by_bits = (torch.where(is_bias, 0.0, part) for part in of_pairs)
        return cost + stored, by_data, by_bits + by_bit

    def add_cost_gradients(self, factors: Tensor, gradients: Parameters, price: Price = EBOPS) -> None:
        """Add the gradients of ``factors`` [of data] x cost, by widths and by data fractions."""
        if price is not EBOPS:
            self._add_gradients_of(price, factors, gradients)
            return
        data_bits = self.data_bits
        torch.mul(data_bits, factors, out=self._weighted_bits[: self.layout.data_count])
        by_bits = torch.index_select(self._weighted_bits, 0, self._read, out=self._gathered)
        bits = self.layout.coefficients(self.rounded.bits)
        for layer, out in enumerate(self.layout.data(self._bit_sums)):
            torch.sum(bits[layer][:, :-1], 2, out=out)
        self._add_by_group(by_bits, self._bit_sums.mul_(data_bits > 0).mul_(factors), gradients)

    def _add_gradients_of(self, price: Price, factors: Tensor, gradients: Parameters) -> None:
        """The same of any price, in more operations."""
        _, by_data, by_bits = self._costs_of_coefficients(price)
        of_layers = zip(self.layout.data(factors), self.layout.coefficient_shapes, strict=True)
        each = torch.cat([factor[:, :1, None].expand(shape).flatten() for factor, shape in of_layers])
        sums = torch.zeros(self.layout.node_count).index_add_(0, self._read, by_data * each)
        of_data = sums[: self.layout.data_count] * (self.data_bits > 0)
        self._add_by_group(by_bits * each, of_data, gradients)

    def _add_by_group(self, by_bits: Tensor, by_fractions: Tensor, gradients: Parameters) -> None:
        groups = self.grouping
        if groups.coefficients is None:
            gradients.bits.add_(by_bits)
        else:
            gradients.bits.index_add_(0, groups.coefficients, by_bits)
        if groups.data is None:
            gradients.data_fractions.add_(by_fractions)
        else:
            gradients.data_fractions.index_add_(0, groups.data, by_fractions)

    def _samples_of(self, count: int) -> "_Samples":
        if count not in self._samples:
            self._samples[count] = _Samples.of(self.layout, self._shifted, count)
        return self._samples[count]


@dataclass(frozen=True)
class _Samples:
    """Arrays for so many samples that are used again and again: fresh ones cost more than what fills them."""

    data_and_one: list[Tensor]  # [C, I + 1, N]
    data: list[Tensor]  # their first I
    sums: list[Tensor]  # [C, O, N], half a step added
    by_sums: list[Tensor]
    turned_by_sums: list[Tensor]
    scaled_inputs: Tensor
    by_inputs: Tensor
    weights: list[Tensor]  # [C, I, O]
    turned_coefficients: list[Tensor]  # [C, O, I + 1]

    @classmethod
    def of(cls, layout: Layout, coefficients: Tensor, count: int) -> "_Samples":
        candidates, sizes = layout.candidates, layout.sizes
        data_and_one = [torch.ones(candidates, size + 1, count) for size in sizes[:-1]]
        by_sums = [torch.empty(candidates, size, count) for size in sizes[1:]]
        held = layout.coefficients(coefficients)
        return cls(
            data_and_one,
            [values[:, :-1] for values in data_and_one],
            [torch.empty(candidates, size, count) for size in sizes[1:]],
            by_sums,
            [values.transpose(1, 2) for values in by_sums],
            torch.empty(candidates, sizes[0], count),
            torch.empty(candidates, sizes[0], sizes[1]),
            [values[:, :-1] for values in held],
            [values.transpose(1, 2) for values in held],
        )
