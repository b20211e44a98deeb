"""What the arithmetic of a plan takes in energy, and what moving its numbers would."""

from dataclasses import dataclass

from narrower.cost.energy import ACCESS_BITS, ACCESS_PJ, is_measured
from narrower.cost.network_cost import NetworkCost
from narrower.graph.network import numel
from narrower.plan.plan import Plan


@dataclass(frozen=True, slots=True)
class Energy:
    """Picojoules for one sample.

    ``compute_pj`` is for multiply-accumulates alone, with accumulators of 32 bits. ``extrapolated`` names the
    layers whose widths were not measured. ``movement_pj`` says for each memory what reading every weight and
    every product's inputs once, and writing its outputs once (in 32 bits where these are not rounded), would
    take if all lay there.
    """

    compute_pj: float
    extrapolated: tuple[str, ...]
    movement_pj: tuple[tuple[str, float], ...]


def energy(cost: NetworkCost, plan: Plan) -> Energy:
    """Estimate the energy of a plan with widths of 1."""
    formats = cost.formats(plan)
    moved_bits = 0.0
    extrapolated = []
    for layer, operators in cost.network.multiplying_layers.items():
        for operator in operators:
            read = zip(operator.input_shapes, formats.data(operator), strict=True)
            moved_bits += sum(numel(shape) * number_format.bits for shape, number_format in read)
            moved_bits += numel(operator.output_shape) * formats.written(operator).bits
            if not all(is_measured(*widths) for _, *widths in cost.operand_bits(operator, formats)):
                extrapolated.append(layer)
        moved_bits += cost.layer_weight_bits(layer, formats.of(layer))
    return Energy(
        compute_pj=cost.of(plan)["energy"],
        extrapolated=tuple(dict.fromkeys(extrapolated)),
        movement_pj=tuple((memory, moved_bits / ACCESS_BITS * pj) for memory, pj in ACCESS_PJ.items()),
    )
