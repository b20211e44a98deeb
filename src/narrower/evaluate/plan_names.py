"""Whether a lowered program has the layers and edges that a plan names."""

from dataclasses import replace

from narrower.errors import unknown_name
from narrower.graph.program import Program
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.plan import UNCHANGED, Plan


def check_names(program: Program, plan: Plan) -> None:
    """Check that there are products to round operands of, and edges to round.

    Raises:
        UnknownNameError: there is not; the message lists what there is.
    """
    layers, edges = (
        dict.fromkeys(node.meta[key] for node in program.graph.nodes if key in node.meta)
        for key in ("layer", "edge")
    )
    for name, layer in plan.layers:
        if layer.output != FLOAT32 and name not in edges:
            raise unknown_name("edge", name, edges)
        if name not in layers and replace(layer, output=FLOAT32) != UNCHANGED:
            raise unknown_name("layer", name, layers)
