"""What the arithmetic of a plan takes in energy, and what moving its numbers would, in a 45 nm process.

The measured values are those of M. Horowitz, "Computing's energy problem (and what we can do about it)",
ISSCC 2014, figure 1.1.9 (45 nm, 0.9 V). They compare plans; they are no forecast for a chip of today.
"""

from dataclasses import dataclass
from math import log

from narrower.cost.network_cost import FLOAT_BITS, NetworkCost
from narrower.formats.float32 import FLOAT32
from narrower.graph.network import Operator, numel
from narrower.plan import UNCHANGED, LayerPlan, Plan

# Picojoules of one operation, by width.
INTEGER_MULTIPLY_PJ = {8: 0.2, 32: 3.1}
INTEGER_ADD_PJ = {8: 0.03, 32: 0.1}
FLOAT_MULTIPLY_PJ = {16: 1.1, 32: 3.7}
FLOAT_ADD_PJ = {16: 0.4, 32: 0.9}
# Picojoules of one access of 64 bits; DRAM's is the lower end of "1.3 to 2.6 nJ".
ACCESS_PJ = {"8 KB cache": 10.0, "32 KB cache": 20.0, "1 MB cache": 100.0, "DRAM": 1300.0}
ACCESS_BITS = 64
# Between and below the two measured widths: a power of the product of the widths through both of them.
EXPONENT = log(INTEGER_MULTIPLY_PJ[32] / INTEGER_MULTIPLY_PJ[8]) / log(32 * 32 / (8 * 8))


@dataclass(frozen=True, slots=True)
class Energy:
    """Picojoules for one sample.

    ``compute_pj`` is for multiply-accumulates alone, with accumulators of 32 bits. ``extrapolated`` names the
    layers whose widths were not measured. ``movement_pj`` says for each memory what reading every weight and
    every product's inputs once, and writing its outputs once (32 bits each), would take if all lay there.
    """

    compute_pj: float
    extrapolated: tuple[str, ...]
    movement_pj: tuple[tuple[str, float], ...]


def energy(cost: NetworkCost, plan: Plan) -> Energy:
    """Estimate the energy of a plan with widths of 1."""
    layers = dict(plan.layers)
    compute, moved_bits = 0.0, 0
    extrapolated = []
    for layer, operators in cost.network.product_layers.items():
        chosen = layers.get(layer, UNCHANGED)
        for operator in operators:
            widths = _operand_bits(cost, operator, chosen)
            compute += cost.macs_by_operator[operator.name] * multiply_accumulate_pj(*widths)
            moved_bits += sum(numel(shape) for shape in operator.input_shapes) * chosen.data.bits
            moved_bits += numel(operator.output_shape) * FLOAT_BITS
            if not is_measured(*widths):
                extrapolated.append(layer)
        moved_bits += cost.layer_weight_bits(layer, chosen)
    return Energy(
        compute_pj=compute,
        extrapolated=tuple(dict.fromkeys(extrapolated)),
        movement_pj=tuple((memory, moved_bits / ACCESS_BITS * pj) for memory, pj in ACCESS_PJ.items()),
    )


def multiply_accumulate_pj(data_bits: int | None, weight_bits: int | None) -> float:
    """Energy of one multiplication and one addition; None: float32, then both are."""
    if data_bits is None or weight_bits is None:
        return FLOAT_MULTIPLY_PJ[32] + FLOAT_ADD_PJ[32]
    relative = data_bits * weight_bits / (8 * 8)
    return float(INTEGER_MULTIPLY_PJ[8] * relative**EXPONENT + INTEGER_ADD_PJ[32])


def is_measured(data_bits: int | None, weight_bits: int | None) -> bool:
    """Whether the source has these widths; all others are an extrapolation."""
    return data_bits == weight_bits and data_bits in (None, *INTEGER_MULTIPLY_PJ)


def _operand_bits(cost: NetworkCost, operator: Operator, chosen: LayerPlan) -> tuple[int | None, int | None]:
    data = None if chosen.data == FLOAT32 else chosen.data.bits
    if cost.network.weight_of(operator) is None:
        return data, data
    return data, None if chosen.weight == FLOAT32 else chosen.weight.bits
