"""A lowered program whose widths are learned: its numbers, its outputs, and what it costs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from narrower.cost.each_entry import beside_weights
from narrower.cost.macs import macs
from narrower.evaluate.steps import Steps, compile_steps
from narrower.graph.program import Program
from narrower.preparation.learning.price import OfActivations, OfPairs, Price, with_sign
from narrower.preparation.learning.programs.operands import Coefficients, Data, Operands
from narrower.preparation.learning.programs.rounding import rounded_coefficients, rounded_data, whole

See = Callable[[int, Tensor], None]
NO_BITS = -64.0  # integer bits of data that were never other than zero
FORGOTTEN_BITS = 0.01  # integer bits of data that a step without large values forgets


@dataclass(frozen=True)
class LearnedCoefficients:
    """A weight or bias in training."""

    about: Coefficients
    values: Tensor
    bits: Tensor
    integer_bits: Tensor


@dataclass(frozen=True)
class LearnedData:
    """What a layer reads: fractions are learned, integer bits and signs follow what was seen."""

    about: Data
    fractions: Tensor
    integer_bits: Tensor
    signs: Tensor  # 1 where values were below zero

    def see(self, values: Tensor, forgotten: float = 0.0) -> None:
        """Follow the largest of some rounded values [N, ...]; two's complement reaches one step lower."""
        low, high = ends(values, tuple(self.fractions.shape))
        largest = torch.maximum(high, -low - torch.exp2(-self.fractions.detach().round()))
        needed = largest.clamp_min(2**NO_BITS).log2().floor() + 1
        torch.maximum(self.integer_bits - forgotten, needed, out=self.integer_bits)
        torch.maximum(self.signs, (low < 0).float(), out=self.signs)


@dataclass(frozen=True)
class _Product:
    """One operator: its data, its weight, and multiply-accumulates for each weight."""

    data: int
    weight: int | None
    times: int
    order: Tensor | None  # of the data's widths beside the weights, where there are several


class LearnedProgram:
    """One candidate.

    ``vector`` holds all that is learned, first what is no width, and ``gradient`` its gradients, which
    autograd adds to.
    """

    def __init__(self, program: Program, operands: Operands, allowed_bits: Sequence[int] = ()) -> None:
        """``allowed_bits``: those that coefficients may have, without a sign; empty where all may be had."""
        self.program, self.operands = program, operands
        self._allowed = torch.tensor(sorted(allowed_bits), dtype=torch.float32) if allowed_bits else None
        self._steps: Steps = compile_steps(program)
        held = {node: program.tensors[node].detach().float() for node in _nodes(operands)}
        values = [held[c.node] for c in operands.coefficients] + [held[node] for node in operands.others]
        widths = [c.widths for c in operands.coefficients]
        shapes = [tuple(v.shape) for v in values] + widths + widths + [d.widths for d in operands.data]
        self.value_count = sum(v.numel() for v in values)
        self.vector = torch.zeros(sum(map(prod, shapes)))
        self.gradient = torch.zeros_like(self.vector)
        leaves = _leaves(self.vector, self.gradient, shapes)
        count = len(operands.coefficients)
        for leaf, value in zip(leaves, values, strict=False):
            leaf.data.copy_(value)
        bits, integer_bits = leaves[len(values) :][:count], leaves[len(values) + count :][:count]
        self.coefficients = [
            LearnedCoefficients(*each)
            for each in zip(operands.coefficients, leaves[:count], bits, integer_bits, strict=True)
        ]
        self.others = dict(zip(operands.others, leaves[count : len(values)], strict=True))
        self.data = [
            LearnedData(about, leaf, torch.full(about.widths, NO_BITS), torch.zeros(about.widths))
            for about, leaf in zip(operands.data, leaves[len(values) + 2 * count :], strict=True)
        ]
        self._slots = self._by_slot()
        self._run, self._constants, self._last = self._order()
        self._products = list(self._all_products())

    @property
    def bits_gradient(self) -> Tensor:
        """The gradients by the bits of coefficients."""
        count = sum(c.bits.numel() for c in self.coefficients)
        return self.gradient[self.value_count :][:count]

    def outputs(
        self, *arguments: Tensor, fractions: Sequence[Tensor] | None = None, see: See | None = None
    ) -> Tensor:
        """Outputs of some samples with everything rounded; data with ``fractions`` where these are given.

        ``see`` is told of all data, by their number.
        """
        values: dict[int, Any] = dict(self._constants)
        values.update(zip(self._steps.batch_inputs, arguments, strict=True))
        held = [self.rounded(each) for each in self.coefficients]
        others = list(self.others.values())
        used = [whole(each.fractions) for each in self.data] if fractions is None else fractions
        for index in self._run:
            kind, number = self._slots.get(index, ("called", 0))
            if kind == "held":
                values[index] = held[number]
            elif kind == "other":
                values[index] = others[number]
            elif kind == "called":
                values[index] = self._steps.called(index, values)
            else:
                value = values[self._steps.steps[index].inputs[0]]
                values[index] = rounded_data(value, used[number]) if kind == "data" else value
                if kind == "data" and see is not None:
                    see(number, values[index].detach())
            for gone in self._last.get(index, ()):
                del values[gone]
        result = values[self._steps.output]
        return result[0] if isinstance(result, tuple | list) else result  # type: ignore[no-any-return]

    def rounded(self, each: LearnedCoefficients) -> Tensor:
        """A weight or bias as it is now."""
        return rounded_coefficients(each.values, self.whole_bits(each), whole(each.integer_bits))

    def whole_bits(self, each: LearnedCoefficients) -> Tensor:
        """Whole numbers of bits, without a sign."""
        return whole(each.bits, self._allowed)

    def widths_of(self, each: LearnedData) -> Tensor:
        """Whole numbers of bits of data, with a sign where there is one; they can be differentiated."""
        bits = whole(each.fractions) + each.integer_bits.detach()
        return bits.clamp_min(0) + (each.signs * (bits.detach() > 0))

    def cost(self, price: Price) -> Tensor:
        """What the network costs with the widths that it has, which can be differentiated by them."""
        bits = [self.whole_bits(each) for each in self.coefficients]
        data = [self.widths_of(each) for each in self.data]
        total = torch.tensor(price.rest)
        for each, own in zip(self.coefficients, bits, strict=True):
            by_bit = price.by_weight_bit if each.about.operand == "weight" else price.by_bias_bit
            if by_bit:
                total = total + by_bit * _stored(own).sum() * (each.values.numel() // own.numel())
        if price.of_pairs is not None:
            for product in self._products:
                total = total + self._product_cost(product, data, bits, price)
        return total

    def _product_cost(
        self, product: _Product, data: Sequence[Tensor], bits: Sequence[Tensor], price: Price
    ) -> Tensor:
        read = data[product.data]
        if product.weight is None:
            each = _Activations.apply(read, price.of_activations)  # type: ignore[no-untyped-call]
            return each.sum() * product.times  # type: ignore[no-any-return]
        if product.order is not None:
            read = read.flatten()[product.order]
        own, weight = bits[product.weight], self.coefficients[product.weight]
        each = _Pairs.apply(read, own, price.of_pairs)  # type: ignore[no-untyped-call]
        return each.sum() * (product.times * weight.values.numel() / each.numel())  # type: ignore[no-any-return]

    def clamp(self, most_bits: float, exponents: tuple[float, float]) -> None:
        """Keep bits of coefficients from zero to so many, and other exponents in a range."""
        for each in self.coefficients:
            each.bits.data.clamp_(0, most_bits)
            each.integer_bits.data.clamp_(*exponents)
        for data in self.data:
            data.fractions.data.clamp_(*exponents)

    def narrow_data(self, most: int) -> None:
        """Lower the fractions of data so that none has more than ``most`` bits."""
        for each in self.data:
            torch.minimum(each.fractions.data, most - each.integer_bits - each.signs, out=each.fractions.data)

    def _by_slot(self) -> dict[int, tuple[str, int]]:
        """What the steps do that are not just called: the number of what they hold or round."""
        found: dict[int, tuple[str, int]] = {}
        numbers = {name: number for number, name in enumerate(s.name for s in self._steps.steps)}
        for number, each in enumerate(self.operands.coefficients):
            found[numbers[each.node]] = ("held", number)
        for number, node in enumerate(self.operands.others):
            found[numbers[node]] = ("other", number)
        data = {each.layer: number for number, each in enumerate(self.operands.data)}
        for index, step in enumerate(self._steps.steps):
            if step.slot is not None:
                layer, operand = self._steps.slots[step.slot]
                found[index] = ("data", data[layer]) if operand == "data" else ("rounded", 0)
        return found

    def _order(self) -> tuple[list[int], dict[int, Any], dict[int, list[int]]]:
        """The steps to run, the constants that they read, and after which step a value is not needed."""
        varies: set[int] = set(self._steps.batch_inputs)
        run, last = [], {}
        constants: dict[int, Any] = {}
        for index, step in enumerate(self._steps.steps):
            if index in varies:
                continue
            if (
                index in self._slots
                or not varies.isdisjoint(step.inputs)
                or not _is_constant(self._steps, index)
            ):
                varies.add(index)
                run.append(index)
                for source in step.inputs:
                    last[source] = index
                    if source not in varies:
                        constants[source] = self._steps.constants[source].clone()
        gone: dict[int, list[int]] = {}
        for source, index in last.items():
            if source != self._steps.output:
                gone.setdefault(index, []).append(source)
        return run, constants, gone

    def _all_products(self) -> list[_Product]:
        network = self.program.network
        data = {each.layer: number for number, each in enumerate(self.operands.data)}
        weights = {e.layer: n for n, e in enumerate(self.operands.coefficients) if e.operand == "weight"}
        found = []
        for layer, operators in network.multiplying_layers.items():
            for operator in operators:
                count = macs(network, operator)
                if network.weight_of(operator) is None:
                    found.append(_Product(data[layer], None, count, None))
                    continue
                about = self.operands.coefficients[weights[layer]]
                own = self.operands.data[data[layer]]
                order = None
                if prod(own.widths) > 1:
                    numbers = np.arange(prod(own.widths)).reshape(own.widths)
                    order = torch.from_numpy(beside_weights(operator, numbers, about.shape).copy())
                found.append(_Product(data[layer], weights[layer], count // prod(about.shape), order))
        return found


def ends(values: Tensor, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Smallest and largest of values [N, ...] for each entry of a shape that goes with their last axes."""
    if prod(shape) == 1:
        return values.amin().view(shape), values.amax().view(shape)
    kept = values.dim() - len(shape)
    by_entry = values.movedim(kept, 0).flatten(1)
    return by_entry.amin(1).view(shape), by_entry.amax(1).view(shape)


class _Pairs(torch.autograd.Function):
    """A price of pairs with the derivatives that it gives itself."""

    @staticmethod
    def forward(ctx: Any, data: Tensor, bits: Tensor, of_pairs: OfPairs) -> Tensor:
        cost, by_data, by_bits = of_pairs(data, bits)
        ctx.save_for_backward(by_data.expand_as(cost), by_bits.expand_as(cost))
        ctx.shapes = data.shape, bits.shape
        return cost

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        by_data, by_bits = ctx.saved_tensors
        of_data, of_bits = ctx.shapes
        return (
            (gradients[0] * by_data).sum_to_size(of_data),
            (gradients[0] * by_bits).sum_to_size(of_bits),
            None,
        )


class _Activations(torch.autograd.Function):
    """The same of products of two data that have the same bits."""

    @staticmethod
    def forward(ctx: Any, data: Tensor, of_activations: OfActivations) -> Tensor:
        cost, by_data = of_activations(data)
        ctx.save_for_backward(by_data)
        return cost

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (by_data,) = ctx.saved_tensors
        return gradients[0] * by_data, None


def _stored(bits: Tensor) -> Tensor:
    return bits + (with_sign(bits) - bits).detach()


def _is_constant(steps: Steps, index: int) -> bool:
    return index in steps.constants


def _nodes(operands: Operands) -> list[str]:
    return [*(each.node for each in operands.coefficients), *operands.others]


def _leaves(vector: Tensor, gradient: Tensor, shapes: Sequence[tuple[int, ...]]) -> list[Tensor]:
    """Parts of a vector as leaves of autograd, whose gradients lie in the other vector."""
    found, start = [], 0
    for shape in shapes:
        stop = start + prod(shape)
        leaf = vector[start:stop].view(shape).detach().requires_grad_()
        leaf.grad = gradient[start:stop].view(shape)
        found.append(leaf)
        start = stop
    return found
