"""Plans that tests export."""

from narrower.graph.program import Program
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan


def uniform(program: Program, width: int, data_frac: int, weight_frac: int) -> Plan:
    """Every product of a lowered program at one width."""
    weight = FixedPoint(width, weight_frac)
    layer = LayerPlan(FixedPoint(width, data_frac), weight, weight)
    return Plan.of({n.meta["layer"]: layer for n in program.graph.nodes if "layer" in n.meta})
