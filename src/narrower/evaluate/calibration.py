"""Which fraction width loses least, for each operand of a layer at each width."""

from collections.abc import Sequence, Set
from typing import Any

import torch
from torch import Tensor

from narrower.evaluate.module_engine import unrounded_operands
from narrower.evaluate.steps import compile_steps
from narrower.formats.fixed import FixedPoint
from narrower.formats.float32 import FLOAT32
from narrower.formats.known_data import KnownData
from narrower.formats.sign_only import TERNARY_SHARE
from narrower.graph.program import Program
from narrower.quantizers.quantize import quantize

CALIBRATION_SAMPLES = 1024
LARGEST_SAMPLE = 2**20  # values of one operand that are looked at


class Calibration:
    """Fraction widths with the least squared error, on the float model's own weights and activations."""

    def __init__(
        self,
        program: Program,
        *inputs: Tensor,
        rounding: str = "half_even",
        unsigned: Set[str] = frozenset(),
    ) -> None:
        """``program`` is lowered; ``inputs`` [N, ...] are training samples, of which 1,024 are used.

        ``unsigned`` are the layers whose data have no sign.
        """
        self._values = _operands(program, [argument[:CALIBRATION_SAMPLES] for argument in inputs])
        self._rounding, self._unsigned = rounding, unsigned
        self._data: dict[str, KnownData] = {}
        self._fractions: dict[tuple[str, str, int], int] = {}

    def fraction(self, layer: str, operand: str, width: int) -> int:
        """The fraction width for one operand; of equally good ones the smallest."""
        key = (layer, operand, width)
        if key not in self._fractions:
            is_signed = operand != "data" or layer not in self._unsigned
            self._fractions[key] = best_fraction(
                self._values.get((layer, operand), ()), width, self._rounding, signed=is_signed
            )
        return self._fractions[key]

    def known_data(self, layer: str) -> KnownData:
        """What the data of a layer are."""
        if layer not in self._data:
            values = self._values.get((layer, "data"), ())
            flat = torch.cat([value.detach().flatten().double() for value in values] or [torch.zeros(1)])
            sizes = flat.abs()
            mean = float(sizes.mean())
            above = sizes[sizes > TERNARY_SHARE * mean]
            self._data[layer] = KnownData(
                float(flat.min()), float(flat.max()), mean, float(above.mean()) if len(above) else mean
            )
        return self._data[layer]


def best_fraction(
    values: Sequence[Tensor], width: int, rounding: str = "half_even", *, signed: bool = True
) -> int:
    """The fraction width at which fixed point loses least (sum of squared errors)."""
    flat = torch.cat([value.flatten() for value in values]) if values else torch.zeros(1)
    flat = flat[:: max(1, -(-len(flat) // LARGEST_SAMPLE))].double()
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
    steps = compile_steps(program)
    values: dict[int, Any] = {**steps.constants, **dict(zip(steps.batch_inputs, inputs, strict=True))}
    found: dict[tuple[str, str], list[Tensor]] = {}
    formats = [FLOAT32] * len(steps.slots)
    with torch.inference_mode():
        for index, step in enumerate(steps.steps):
            if index not in steps.constants and index not in steps.batch_inputs:
                values[index] = steps.run(index, values, formats)
            if step.slot is not None:
                operand = values[index]
                assert isinstance(operand, Tensor)
                found.setdefault(steps.slots[step.slot], []).append(operand)
    return found
