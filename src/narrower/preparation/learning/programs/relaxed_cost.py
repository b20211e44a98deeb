"""What a learned program costs with the widths that it has, as a function that can be differentiated by them.

At whole widths it is the cost of the plan that the program is deployed as.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from narrower.cost.each_entry import beside_weights
from narrower.cost.macs import macs
from narrower.preparation.learning.effective_bits import needed_bits
from narrower.preparation.learning.price import OfActivations, OfPairs, Price, with_sign
from narrower.preparation.learning.programs.learned_program import LearnedProgram
from narrower.transform.quantizers.quantize import quantize


@dataclass(frozen=True)
class _Product:
    """One operator: its layer, the parameter that it multiplies, and multiply-accumulates for each entry.

    ``order`` is that of the data's widths beside the weights, where there are several.
    """

    layer: str
    parameter: str | None
    entries: int
    times: int
    order: Tensor | None


class RelaxedCost:
    """One price of one program."""

    def __init__(self, learned: LearnedProgram, price: Price) -> None:
        self._learned, self._price = learned, price
        self._products = list(_products(learned))
        self._values = {
            name: leaf
            for leaf, name in zip(learned.others.values(), learned.operands.others.values(), strict=True)
        }

    def now(self) -> Tensor:
        """The cost."""
        learned, price = self._learned, self._price
        bits = {each.about.parameter: learned.whole_bits(each) for each in learned.coefficients}
        data = {each.about.layer: learned.widths_of(each) for each in learned.data}
        total = torch.tensor(price.rest)
        for each in learned.coefficients:
            own = bits[each.about.parameter]
            by_bit = price.by_weight_bit if each.about.operand == "weight" else price.by_bias_bit
            if by_bit:
                total = total + by_bit * _stored(own).sum() * (each.values.numel() // own.numel())
        if price.of_pairs is not None:
            for product in self._products:
                total = total + self._of_product(product, data, bits)
        return total

    def _of_product(
        self, product: _Product, data: Mapping[str, Tensor], bits: Mapping[str, Tensor]
    ) -> Tensor:
        kept, price = self._learned.operands.kept.layer(product.layer), self._price
        read = data[product.layer] if data else torch.tensor(float(kept.data.bits))
        if product.parameter is None:
            each = _Activations.apply(read, price.of_activations)  # type: ignore[no-untyped-call]
            return each.sum() * product.times  # type: ignore[no-any-return]
        if product.order is not None:
            read = read.flatten()[product.order]
        if bits:
            own = bits[product.parameter]
        elif price.by_needed_bits:
            values = self._values[product.parameter].detach()
            own = torch.from_numpy(needed_bits(quantize(values, kept.weight))).float()
        else:
            own = torch.tensor(float(kept.weight.bits) - 1)
        each = _Pairs.apply(read, own, price.of_pairs)  # type: ignore[no-untyped-call]
        return each.sum() * (product.times * product.entries / each.numel())  # type: ignore[no-any-return]


def _products(learned: LearnedProgram) -> "list[_Product]":
    network, found = learned.program.network, []
    widths = {each.layer: each.widths for each in learned.operands.data}
    for layer, operators in network.multiplying_layers.items():
        for operator in operators:
            count, weight = macs(network, operator), network.weight_of(operator)
            if weight is None:
                found.append(_Product(layer, None, 1, count, None))
                continue
            order = None
            if prod(own := widths.get(layer, ())) > 1:
                numbers = np.arange(prod(own)).reshape(own)
                order = torch.from_numpy(beside_weights(operator, numbers, weight.shape).copy())
            found.append(_Product(layer, weight.name, weight.numel, count // weight.numel, order))
    return found


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
