"""What the edges of a network are under a plan: formats, bits, and the bit operations that each saves."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from narrower.cost.network_cost import NetworkCost
from narrower.graph.network import Shape, numel
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.plan import Plan


@dataclass(frozen=True, slots=True)
class PlanEdge:
    """One edge under a plan.

    ``kind`` is that of the operator that computes it, or "input". ``readers`` are the layers that read it.
    ``values`` are its numbers for one sample; None where nobody recorded how many, inside attention.
    ``saved_bitops`` is by how much bit operations would rise if this edge alone were in float32.
    """

    edge: str
    kind: str
    readers: tuple[str, ...]
    format: str
    values: int | None
    bits: float | None
    saved_bitops: int
    is_output: bool


def plan_edges(cost: NetworkCost, plan: Plan) -> tuple[PlanEdge, ...]:
    """Every edge in the order in which they are written; none where the plan rounds none."""
    if not plan.outputs:
        return ()
    network, edges = cost.network, cost.edges
    shapes: dict[str, Shape] = {**dict(network.inputs), **{o.name: o.output_shape for o in network.operators}}
    readers = _readers(cost)
    bitops = cost.totals(plan)["bitops"]
    found = []
    for edge in edges.edges:
        number_format = plan.layer(edge.name).output
        values = numel(shapes[edge.writer]) if edge.writer in shapes else None
        found.append(
            PlanEdge(
                edge.name,
                edge.kind,
                tuple(readers.get(edge.name, ())),
                number_format.text,
                values,
                None if values is None else values * number_format.bits,
                cost.totals(_without(plan, edge.name))["bitops"] - bitops,
                edge.is_output,
            )
        )
    return tuple(found)


def _without(plan: Plan, edge: str) -> Plan:
    """The same plan with one edge in float32."""
    return Plan.of(
        (name, replace(layer, output=FLOAT32) if name == edge else layer) for name, layer in plan.layers
    )


def _readers(cost: NetworkCost) -> Mapping[str, dict[str, None]]:
    found: dict[str, dict[str, None]] = {}
    for name, layer in _reads(cost):
        found.setdefault(name, {})[layer] = None
    return found


def _reads(cost: NetworkCost) -> Iterator[tuple[str, str]]:
    """Each edge with each layer that computes something else from it."""
    for operator in cost.network.operators:
        own = cost.edges.behind.get(operator.name)
        for name in (*cost.edges.read_by(operator), *cost.edges.inside(operator)):
            if name != own:
                yield name, operator.layer
