"""What the arithmetic of a plan takes in energy, and what moving its numbers would."""

from dataclasses import dataclass

from narrower.cost.energy import ACCESS_BITS, ACCESS_PJ, is_measured
from narrower.cost.network_cost import FLOAT_BITS, NetworkCost
from narrower.graph.network import numel
from narrower.plan.plan import UNCHANGED, Plan


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
    moved_bits = 0.0
    extrapolated = []
    for layer, operators in cost.network.multiplying_layers.items():
        chosen = layers.get(layer, UNCHANGED)
        for operator in operators:
            widths = cost.operand_bits(operator, chosen)
            moved_bits += sum(numel(shape) for shape in operator.input_shapes) * chosen.data.bits
            moved_bits += numel(operator.output_shape) * FLOAT_BITS
            if not is_measured(*widths):
                extrapolated.append(layer)
        moved_bits += cost.layer_weight_bits(layer, chosen)
    return Energy(
        compute_pj=cost.of(plan)["energy"],
        extrapolated=tuple(dict.fromkeys(extrapolated)),
        movement_pj=tuple((memory, moved_bits / ACCESS_BITS * pj) for memory, pj in ACCESS_PJ.items()),
    )
