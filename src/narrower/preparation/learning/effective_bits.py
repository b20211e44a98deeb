"""Effective bit operations of any network: data bits times the bits that each weight really needs."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from narrower.cost.each_entry import beside_weights
from narrower.cost.macs import macs
from narrower.errors import ExportError
from narrower.graph.network import RECURRENT_KINDS
from narrower.graph.program import Program
from narrower.plan.formats.fixed_each import FixedEach
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.plan import Plan
from narrower.preparation.learning.deployed import Integers, bit_lengths, odd_part
from narrower.transform.quantizers.quantize import quantize

FLOAT32_STEPS = 24  # bits of a float32's mantissa


def effective_bit_operations(program: Program, plan: Plan) -> int:
    """Sum over all multiply-accumulates of a lowered program (Sun et al., arXiv 2405.00645).

    Data bits count a sign where there is one; a weight's are those from its highest to its lowest bit that is
    set. Of a product of two activations both have the data's bits.

    Raises:
        ExportError: a layer is not in fixed point.
    """
    network, total = program.network, 0
    held = {program.parameter_names.get(node): tensor for node, tensor in program.tensors.items()}
    for layer, operators in network.multiplying_layers.items():
        formats = plan.layer(layer)
        for operator in operators:
            if operator.kind in RECURRENT_KINDS:
                raise ExportError(
                    f"{layer}: effective bit operations are of layers in fixed point; {operator.kind} is not"
                )
            data = _data_widths(layer, formats.data)
            times, weight = macs(network, operator), network.weight_of(operator)
            if weight is None:
                total += int(data.max()) ** 2 * times
                continue
            if not _is_fixed(formats.weight):
                raise _not_fixed(layer, "weight", formats.weight)
            bits = needed_bits(quantize(held[weight.name].detach().float(), formats.weight))
            read = beside_weights(operator, data, weight.shape)
            total += int((bits * read.astype(np.int64)).sum()) * (times // weight.numel)
    return total


def needed_bits(values: Tensor) -> Integers:
    """Bits of each number from its highest to its lowest that is set, without a sign; 0 for 0."""
    mantissas, _ = np.frexp(values.double().numpy())
    steps = np.ldexp(mantissas, FLOAT32_STEPS).astype(np.int64)
    return bit_lengths(odd_part(steps, np.zeros_like(steps))[0])


def _data_widths(layer: str, number_format: NumberFormat) -> NDArray[np.int64]:
    if isinstance(number_format, FixedEach):
        return number_format.widths.astype(np.int64)
    if not _is_fixed(number_format):
        raise _not_fixed(layer, "data", number_format)
    return np.array(round(number_format.bits), np.int64)


def _is_fixed(number_format: NumberFormat) -> bool:
    return isinstance(number_format, FixedEach) or number_format.grid is not None


def _not_fixed(layer: str, operand: str, number_format: NumberFormat) -> ExportError:
    return ExportError(
        f"{layer}: effective bit operations are of layers in fixed point; its {operand} is "
        f"{number_format.text}"
    )
