"""The fraction width that loses least for each operand of a layer, at each width, on data."""

from collections import Counter
from collections.abc import Sequence, Set
from functools import cached_property, partial
from math import frexp
from typing import Any

import numpy as np
import torch
from torch import Tensor

from narrower.evaluate.batch_size import largest_value
from narrower.evaluate.compile_steps import compile_steps
from narrower.evaluate.module_engine import unrounded_operands
from narrower.evaluate.output_divergence import OutputDivergence
from narrower.evaluate.recurrent import values_read
from narrower.evaluate.steps import Steps
from narrower.evaluate.weight_calibration import (
    Numbered,
    affine_by_outputs,
    affine_holding,
    fixed_in_channels,
    moved_by_outputs,
)
from narrower.graph.program import Program
from narrower.plan.formats.affine import Affine, affine_over
from narrower.plan.formats.calibration import USUAL, CalibrationSettings
from narrower.plan.formats.fixed import FRACTIONS, FixedPoint
from narrower.plan.formats.fixed_channels import FixedChannels
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.formats.known_data import InChannels, KnownData
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.formats.sign_only import TERNARY_SHARE
from narrower.plan.plan import LayerPlan, Plan
from narrower.tasks.task import OfSamplesBy
from narrower.transform.quantizers.quantize import quantize

SHARES = tuple(share / 40 for share in range(40, 11, -1))  # of the range of data, of which the rest saturates
COARSE_SHARES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3)  # where each is tried in the network
LARGEST_SAMPLE = 2**20  # values of one operand that are looked at
LARGEST_VALUE = 2**25  # elements of the largest value that is computed at a time


class Calibration:
    """Fraction widths with the least squared error, on the float model's own weights and activations."""

    def __init__(
        self,
        program: Program,
        *inputs: Tensor,
        rounding: str = "half_even",
        unsigned: Set[str] = frozenset(),
        settings: CalibrationSettings = USUAL,
        taught: OfSamplesBy | None = None,
    ) -> None:
        """``program`` is lowered; ``inputs`` [N, ...] are training samples, of which the first are used.

        ``unsigned`` are the layers whose data have no sign. ``taught`` compares outputs, where the method
        asks for it (``OutputDivergence``).
        """
        self._settings = settings
        self._taught = taught
        self._program, self._inputs = program, [argument[: settings.samples] for argument in inputs]
        self._rounding, self._unsigned = rounding, unsigned
        self._data: dict[str, KnownData] = {}
        self._fractions: dict[tuple[str, str, int], int] = {}
        self._weights: dict[tuple[str, InChannels, str], InChannels] = {}

    @cached_property
    def _outputs(self) -> OutputDivergence:
        """Built when outputs are first compared."""
        return OutputDivergence(self._program, self._inputs, self._taught)

    @cached_property
    def _values(self) -> dict[tuple[str, str], list[Tensor]]:
        """Looked at when they are first asked for: that is a run of the model on many samples."""
        return _operands(self._program, self._inputs)

    def fraction(self, layer: str, operand: str, width: int) -> int:
        """The fraction width for one operand; of equally good ones the smallest."""
        key = (layer, operand, width)
        if key not in self._fractions:
            is_signed = operand != "data" or layer not in self._unsigned
            values = self._values.get((layer, operand), ())
            fractions = fractions_for(values, width, self._rounding, self._settings, signed=is_signed)
            formats = [FixedPoint(width, fraction, is_signed, self._rounding) for fraction in fractions]
            self._fractions[key] = fractions[self._best(layer, operand, formats)]
        return self._fractions[key]

    def known_data(self, layer: str) -> KnownData:
        """What the data of a layer are."""
        if layer not in self._data:
            self._data[layer] = known_of(_flat(self._values.get((layer, "data"), ())), self._settings)
        return self._data[layer]

    def affine(self, layer: str, width: int, *, symmetric: bool, scales: str) -> Affine:
        """The affine integers that hold the data of a layer."""
        flat, known = _flat(self._values.get((layer, "data"), ())), self.known_data(layer)
        formats = affines_for(flat, known, width, self._settings, symmetric=symmetric, scales=scales)
        return formats[self._best(layer, "data", formats)]

    def weight(self, layer: str, wanted: InChannels, method: str) -> InChannels:
        """A format of a layer's weight with the ranges, or the fractions, of its channels."""
        key = layer, wanted, method
        if key not in self._weights:
            self._weights[key] = self._found_weight(layer, wanted, method)
        return self._weights[key]

    def _found_weight(self, layer: str, wanted: InChannels, method: str) -> InChannels:
        weights = self._values.get((layer, "weight"), ())
        if isinstance(wanted, FixedChannels):
            fraction = partial(_fraction_of, wanted.width, self._rounding)
            moved_fixed = partial(self._moved, layer, weights)
            return fixed_in_channels(wanted, weights, self._settings, fraction, moved_fixed)
        if method == "percentile":
            return affine_holding(wanted, weights, self._settings.percentile)
        return affine_by_outputs(wanted, weights, partial(self._moved, layer, weights))

    def _moved(
        self, layer: str, weights: Sequence[Tensor], start: Numbered, options: Sequence[Sequence[int]]
    ) -> Numbered:
        return moved_by_outputs(start, options, layer=layer, weights=weights, outputs=self._outputs)

    def _best(self, layer: str, operand: str, formats: Sequence[NumberFormat]) -> int:
        """The place of the format of an operand with which the outputs are nearest to those of float32."""
        if len(formats) == 1 or self._settings.method != "cross_entropy":
            return 0
        plans = [Plan.of({layer: _with_operand(operand, number_format)}) for number_format in formats]
        return self._outputs.nearest(plans)


def _fraction_of(width: int, rounding: str, values: Sequence[Tensor], settings: CalibrationSettings) -> int:
    (found,) = fractions_for(values, width, rounding, settings, signed=True)
    return found


def _with_operand(operand: str, number_format: NumberFormat) -> LayerPlan:
    formats = {"data": FLOAT32, "weight": FLOAT32, "bias": FLOAT32, operand: number_format}
    return LayerPlan(formats["data"], formats["weight"], formats["bias"])


def by_outputs(
    program: Program, inputs: Sequence[Tensor], settings: CalibrationSettings, taught: OfSamplesBy | None
) -> OutputDivergence | None:
    """What compares outputs, where the method asks for it."""
    if settings.method != "cross_entropy":
        return None
    return OutputDivergence(program, [argument[: settings.samples] for argument in inputs], taught)


def fractions_for(
    values: Sequence[Tensor], width: int, rounding: str, settings: CalibrationSettings, *, signed: bool
) -> list[int]:
    """The fraction width for some values by the method that is asked for; those to be tried in the network.

    These reach from where nothing saturates to one bit finer than what loses least.
    """
    if settings.method in (None, "mse", "cross_entropy"):
        best = best_fraction(values, width, rounding, signed=signed)
        if settings.method != "cross_entropy":
            return [best]
        largest = fraction_over(*range_of(_flat(values), settings), width, signed=signed)
        return list(range(min(largest, best), best + 2))
    return [fraction_over(*range_of(_flat(values), settings), width, signed=signed)]


def known_of(flat: Tensor, settings: CalibrationSettings) -> KnownData:
    """What some values are."""
    sizes = flat.abs()
    mean = float(sizes.mean())
    above = sizes[sizes > TERNARY_SHARE * mean]
    return KnownData(*range_of(flat, settings), mean, float(above.mean()) if len(above) else mean)


def affines_for(
    flat: Tensor, known: KnownData, width: int, settings: CalibrationSettings, *, symmetric: bool, scales: str
) -> list[Affine]:
    """The affine integers that hold some values by the method that is asked for; those to be tried."""
    shares = {"mse": SHARES, "cross_entropy": COARSE_SHARES}.get(settings.method or "", (1.0,))
    ends = [(known.low * share, known.high * share) for share in shares]
    formats = [affine_over(low, high, width, symmetric=symmetric, scales=scales) for low, high in ends]
    if settings.method != "mse":
        return list(dict.fromkeys(formats))
    errors = [float((quantize(flat, number_format) - flat).square().sum()) for number_format in formats]
    return [formats[min(range(len(errors)), key=errors.__getitem__)]]


def range_of(flat: Tensor, settings: CalibrationSettings) -> tuple[float, float]:
    """The ends of what is to be held; the middle ``percentile`` of the values where that is asked for."""
    if settings.method != "percentile":
        return float(flat.min()), float(flat.max())
    beyond = (100 - settings.percentile) / 100
    low, high = np.quantile(flat.numpy(), [beyond, 1 - beyond])
    return float(low), float(high)


def fraction_over(low: float, high: float, width: int, *, signed: bool = True) -> int:
    """The largest fraction width at which nothing between the ends saturates; half the width for zeros."""
    if (low == 0 and high == 0) or (width == 1 and signed):
        return width // 2
    reach = max(abs(low), abs(high))
    fraction = width - signed - frexp(reach)[1] + 1
    ends = FixedPoint(width, 0, signed).integer_range
    # Within half a step of the last one, which is what is rounded to it.
    while min(low, 0.0) * 2.0**fraction < ends[0] - 0.5 or high * 2.0**fraction > ends[1] + 0.5:
        fraction -= 1
    return min(max(fraction, FRACTIONS.low), FRACTIONS.high)


def _flat(values: Sequence[Tensor]) -> Tensor:
    """All values in double precision; a regular part of very many."""
    flat = torch.cat([value.detach().flatten() for value in values]) if values else torch.zeros(1)
    flat = flat if len(flat) else torch.zeros(1)
    return _regular_part(flat).double()


def best_fraction(
    values: Sequence[Tensor], width: int, rounding: str = "half_even", *, signed: bool = True
) -> int:
    """The fraction width at which fixed point loses least (sum of squared errors)."""
    flat = torch.cat([value.flatten() for value in values]) if values else torch.zeros(1)
    flat = _regular_part(flat).double()
    largest = float(flat.abs().max())
    if largest == 0 or (width == 1 and signed):
        return width // 2
    # At this fraction nothing saturates; more fraction bits trade range for resolution.
    unsaturated = width - signed - torch.frexp(torch.tensor(largest)).exponent.item()
    candidates = [int(unsaturated) + extra for extra in range(-1, width + 2)]
    formats = [FixedPoint(width, fraction, signed, rounding) for fraction in candidates]
    errors = [float((quantize(flat, number_format) - flat).square().sum()) for number_format in formats]
    return candidates[min(range(len(errors)), key=errors.__getitem__)]


def _operands(program: Program, inputs: Sequence[Tensor]) -> dict[tuple[str, str], list[Tensor]]:
    """What every operand that a plan can round holds when nothing is rounded."""
    if program.untraced is not None:
        return unrounded_operands(program, inputs)
    samples = len(inputs[0])
    at_once = max(1, LARGEST_VALUE // max(1, largest_value(program)))
    steps = compile_steps(program)
    if samples <= at_once:
        return _operands_of(steps, inputs, samples)
    found: dict[tuple[str, str], list[Tensor]] = {}
    for start in range(0, samples, at_once):
        batch = [argument[start : start + at_once] for argument in inputs]
        for slot, values in _operands_of(steps, batch, samples, start).items():
            found.setdefault(slot, []).extend(values)
    return found


def _operands_of(
    steps: Steps, inputs: Sequence[Tensor], samples: int, start: int = 0
) -> dict[tuple[str, str], list[Tensor]]:
    """What operands hold for some of the samples, from number ``start``; weights come with the first."""
    values: dict[int, Any] = {**steps.constants, **dict(zip(steps.batch_inputs, inputs, strict=True))}
    found: dict[tuple[str, str], list[Tensor]] = {}
    formats = [FLOAT32] * len(steps.slots)
    readers = Counter(source for step in steps.steps for source in set(step.inputs))
    read_once = {slot for slot, count in Counter(step.slot for step in steps.steps).items() if count == 1}
    is_all = len(inputs[0]) == samples
    with torch.inference_mode():
        for index, step in enumerate(steps.steps):
            if index not in steps.constants and index not in steps.batch_inputs:
                values[index] = steps.run(index, values, formats)
            if step.inside is not None:
                arguments, _ = steps.arguments(index, values)
                found.setdefault(steps.slots[step.inside], []).extend(values_read(step.function, arguments))
            if step.slot is not None:
                operand = values[index]
                assert isinstance(operand, Tensor)
                is_held = index in steps.constants or step.inputs[0] in steps.constants
                if is_held or (is_all and step.slot not in read_once):
                    few = operand
                else:
                    few = _regular_part(operand.flatten(), len(inputs[0]), samples, start)
                if start == 0 or not is_held:
                    found.setdefault(steps.slots[step.slot], []).append(few)
            for source in set(step.inputs):
                readers[source] -= 1
                if not readers[source] and source not in steps.constants:
                    del values[source]
    return found


def _regular_part(flat: Tensor, own: int = 1, samples: int = 1, start: int = 0) -> Tensor:
    """A regular part of very many values, so that the others need not be held.

    They are those of ``own`` of so many samples, from number ``start``; the part is the same however many
    samples come at a time.
    """
    each = len(flat) // max(1, own)
    stride = max(1, -(-each * samples // LARGEST_SAMPLE))
    return flat if stride == 1 else flat[-each * start % stride :: stride].clone()
