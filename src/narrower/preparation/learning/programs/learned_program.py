"""A lowered program whose widths are learned: its numbers and its outputs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor

from narrower.evaluate.compile_steps import compile_steps
from narrower.evaluate.steps import Steps
from narrower.graph.program import Program
from narrower.plan.formats.number_format import NumberFormat
from narrower.preparation.learning.programs.operands import Coefficients, Data, Operands
from narrower.preparation.learning.programs.rounding import rounded_coefficients, rounded_data, whole
from narrower.transform.quantizers.quantize import quantize_straight_through

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
        fractions = self.fractions.detach().round()
        largest = torch.maximum(high, -low - torch.exp2(-fractions))
        needed = largest.clamp_min(2**NO_BITS).log2().floor() + 1
        needed = torch.where(low < 0, torch.maximum(needed, -fractions), needed)  # a sign alone is a bit
        torch.maximum(self.integer_bits - forgotten, needed, out=self.integer_bits)
        torch.maximum(self.signs, (low < 0).float(), out=self.signs)


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
        self._kept: dict[int, NumberFormat] = {}  # of operands that are not learned, by their steps
        self._slots = self._by_slot()
        self._run, self._constants, self._last = self._order()

    @property
    def bits_gradient(self) -> Tensor:
        """The gradients by the bits of coefficients; where they have none, by the fractions of data."""
        count = sum(c.bits.numel() for c in self.coefficients)
        return self.gradient[self.value_count :][: count or None]

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
                if kind == "kept":
                    value = quantize_straight_through(value, self._kept[index])
                elif kind == "data":
                    value = rounded_data(value, used[number])
                    if see is not None:
                        see(number, value.detach())
                values[index] = value
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
        return bits.clamp_min(0) + (each.signs * (bits.detach() >= 0))

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
                if operand == "data" and layer in data:
                    found[index] = ("data", data[layer])
                elif not (self.data if operand == "data" else self.coefficients):
                    found[index] = ("kept", 0)
                    self._kept[index] = getattr(self.operands.kept.layer(layer), operand)
                else:
                    found[index] = ("rounded", 0)
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


def ends(values: Tensor, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Smallest and largest of values [N, ...] for each entry of a shape that goes with their last axes."""
    if prod(shape) == 1:
        return values.amin().view(shape), values.amax().view(shape)
    kept = values.dim() - len(shape)
    by_entry = values.movedim(kept, 0).flatten(1)
    return by_entry.amin(1).view(shape), by_entry.amax(1).view(shape)


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
