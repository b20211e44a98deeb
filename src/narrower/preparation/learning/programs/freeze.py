"""Turn a learned program into what is deployed: a plan, and the weights that it leaves as they are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np
import torch
from torch import Tensor

from narrower.data.sizes import SAMPLES_AT_ONCE
from narrower.graph.program import Program
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.formats.fixed_each import FixedEach
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.plan import OPERANDS, LayerPlan, Plan
from narrower.preparation.learning.deployed import Integers, bit_lengths, odd_part
from narrower.preparation.learning.effective_bits import FLOAT32_STEPS
from narrower.preparation.learning.hardware_widths import rounded_up
from narrower.preparation.learning.programs.learned_program import LearnedProgram, ends
from narrower.preparation.learning.programs.rounding import whole

LEAST_FRACTION = -128  # below all fractions


@dataclass(frozen=True, eq=False)
class Frozen:
    """A deployed network: its formats, and its parameters by the model's names, rounded already."""

    plan: Plan
    state: Mapping[str, Tensor]

    @property
    def has_weights(self) -> bool:
        """Whether any weight is left."""
        return any(layer.weight.bits > 0 for _, layer in self.plan.layers if layer.weight != FLOAT32)

    def program(self, program: Program) -> Program:
        """The lowered program with these parameters."""
        tensors = {
            node: self.state.get(program.parameter_names.get(node, ""), tensor)
            for node, tensor in program.tensors.items()
        }
        return replace(program, tensors=tensors)


def freeze(
    learned: LearnedProgram, arguments: Sequence[Tensor], most: int, allowed: Sequence[int] = ()
) -> Frozen:
    """The numbers as they are rounded now; data have the widths that they take on these samples.

    No width is above ``most``; data that are wider lose low bits. Where ``allowed`` lists widths, all are of
    that list.
    """
    with torch.no_grad():
        rounded = [learned.rounded(each) for each in learned.coefficients]
        fractions = [whole(each.fractions).clone() for each in learned.data]
        while True:
            data = _data_ranges(learned, fractions, arguments)
            widths = [_width(*each) for each in data]
            excess = [np.maximum(width - most, 0) for width in widths]
            if not any(each.any() for each in excess):
                break
            fractions = [f - torch.from_numpy(e).float() for f, e in zip(fractions, excess, strict=True)]
        chosen: dict[tuple[str, str], NumberFormat] = {
            (each.about.layer, "data"): _data_format(width, fraction, low, allowed)
            for each, width, fraction, (low, _) in zip(learned.data, widths, fractions, data, strict=True)
        }
        state = {}
        for each, values in zip(learned.coefficients, rounded, strict=True):
            about = each.about
            chosen[about.layer, about.operand] = held_format(values, about.widths, allowed)
            state[about.parameter] = values.clone()
        for node, leaf in learned.others.items():
            state[learned.operands.others[node]] = leaf.detach().clone()
    return Frozen(_plan(chosen, learned.operands.kept), state)


def _plan(chosen: Mapping[tuple[str, str], NumberFormat], kept: Plan) -> Plan:
    layers = dict.fromkeys([*(layer for layer, _ in kept.layers), *(layer for layer, _ in chosen)])

    def formats(layer: str) -> LayerPlan:
        own = {operand: getattr(kept.layer(layer), operand) for operand in OPERANDS}
        return LayerPlan(*(chosen.get((layer, operand), own[operand]) for operand in OPERANDS))

    return Plan.of({layer: formats(layer) for layer in layers})


def _data_ranges(
    learned: LearnedProgram, fractions: Sequence[Tensor], arguments: Sequence[Tensor]
) -> list[tuple[Integers, Integers]]:
    """Smallest and largest steps of each layer's data, not above and not below zero."""
    found: list[tuple[Tensor, Tensor] | None] = [None] * len(fractions)

    def see(number: int, values: Tensor) -> None:
        low, high = ends(values, tuple(fractions[number].shape))
        before = found[number]
        found[number] = (
            (low, high) if before is None else (torch.minimum(low, before[0]), torch.maximum(high, before[1]))
        )

    for batch in zip(*(torch.split(each, SAMPLES_AT_ONCE) for each in arguments), strict=True):
        learned.outputs(*batch, fractions=fractions, see=see)
    ranges = []
    for each, fraction in zip(found, fractions, strict=True):
        assert each is not None
        scale = torch.exp2(fraction.double())
        low, high = ((end.double() * scale).numpy().astype(np.int64) for end in each)
        ranges.append((np.minimum(low, 0), np.maximum(high, 0)))
    return ranges


def _width(low: Integers, high: Integers) -> Integers:
    return np.asarray(np.maximum(bit_lengths(high), np.where(low < 0, bit_lengths(-low - 1), 0)) + (low < 0))


def _data_format(width: Integers, fraction: Tensor, low: Integers, allowed: Sequence[int]) -> NumberFormat:
    if allowed:
        width = rounded_up(width, allowed)
    return FixedEach(width.astype(np.int8), fraction.numpy().astype(np.int8), (low < 0).astype(np.int8))


def held_format(values: Tensor, shape: tuple[int, ...], allowed: Sequence[int] = ()) -> NumberFormat:
    """The smallest format of numbers that are rounded already, in a shape of widths that goes with theirs.

    Where ``allowed`` lists widths, the smallest of it that holds them.
    """
    mantissas, exponents = np.frexp(values.double().numpy())
    steps = np.ldexp(mantissas, FLOAT32_STEPS).astype(np.int64)
    steps, fractions = odd_part(steps, FLOAT32_STEPS - exponents.astype(np.int64))
    is_used = steps != 0
    shared = tuple(axis for axis, size in enumerate(shape) if size != values.shape[axis])
    finest = np.where(is_used, fractions, LEAST_FRACTION).max(shared, keepdims=True)
    widths = np.where(is_used, bit_lengths(steps) + finest - fractions + 1, 0).max(shared, keepdims=True)
    finest = np.where(widths > 0, finest, 0)
    if allowed:
        widths = rounded_up(widths, allowed)
    if prod(shape) == 1 and widths.max() > 1:
        return FixedPoint(int(widths.max()), int(finest.max()), overflow="saturate_symmetric")
    used = (widths > 0).astype(np.int8)
    return FixedEach(widths.astype(np.int8), finest.astype(np.int8), used, overflow="symmetric")
