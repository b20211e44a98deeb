"""What each layer of a network costs, as rows for a table."""

from dataclasses import dataclass

from narrower.cost.missing import missing
from narrower.cost.network_cost import NetworkCost
from narrower.cost.read_formats import ReadFormats
from narrower.graph.network import Network, Operator, numel
from narrower.plan.plan import Plan


@dataclass(frozen=True, slots=True)
class LayerProfile:
    """One layer, at one batch size.

    ``macs``, ``flops`` and ``bitops`` are for one sample; ``flops`` is None where an operator has no rule.
    The buffer sizes count elements of inputs and output for the whole batch.
    """

    layer: str
    kind: str
    parameters: int
    macs: int
    flops: int | None
    bitops: int
    input_buffer_size: int
    output_buffer_size: int


@dataclass(frozen=True, slots=True)
class Profile:
    """A network's layers and totals."""

    model: str
    batch_size: int
    layers: tuple[LayerProfile, ...]
    parameters: int
    macs: int
    flops: int
    bitops: int
    model_size_bytes: float
    buffers_bytes: float
    uncounted: tuple[str, ...]
    notes: tuple[str, ...]  # what the totals leave out, and what no plan changes


MOVES = frozenset({"getitem", "view", "reshape", "clone", "unsqueeze", "squeeze", "transpose", "permute"})


def profile(network: Network, batch_size: int = 1, plan: Plan | None = None) -> Profile:
    """Profile every layer that computes; mere views are left out."""
    cost = NetworkCost(network)
    formats = cost.formats(plan or Plan())
    rows = tuple(
        _layer_profile(cost, name, operators, formats, batch_size)
        for name, operators in network.layers.items()
        if any(operator.kind not in MOVES for operator in operators)
    )
    costs = cost.of(plan or Plan())
    return Profile(
        model=network.name,
        batch_size=batch_size,
        layers=rows,
        parameters=cost.parameter_count,
        macs=cost.macs,
        flops=cost.flops,
        bitops=int(costs["bitops"]),
        model_size_bytes=costs["model_size"],
        buffers_bytes=cost.buffer_bytes,
        uncounted=tuple(f"{operator.layer} ({operator.kind})" for operator in cost.uncounted),
        notes=tuple(group.sentence for group in missing(cost)),
    )


def _layer_profile(
    cost: NetworkCost, name: str, operators: tuple[Operator, ...], formats: ReadFormats, batch_size: int
) -> LayerProfile:
    flops = [cost.flops_by_operator[operator.name] for operator in operators]
    held = {parameter for operator in operators for parameter in operator.parameters}
    parameters = [cost.network.parameter_by_name[parameter] for parameter in held]
    return LayerProfile(
        layer=name,
        kind=_display_kind(operators[0]),
        parameters=sum(parameter.numel for parameter in parameters if not parameter.is_buffer),
        macs=sum(cost.macs_by_operator[operator.name] for operator in operators),
        flops=None if None in flops else sum(count or 0 for count in flops),
        bitops=cost.layer_bitops(name, formats),
        input_buffer_size=sum(numel(s, batch_size) for o in operators for s in o.input_shapes),
        output_buffer_size=sum(numel(o.output_shape, batch_size) for o in operators),
    )


def _display_kind(operator: Operator) -> str:
    return operator.module_type if operator.layer == operator.module else operator.kind
