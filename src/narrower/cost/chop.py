"""What a network costs in the columns that MASE/chop prints.

Two deviations from that program: groups of convolutions are taken into account, and one-dimensional batch
norm has the rule of the two-dimensional one, where that program has none.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

from narrower.cost.elementwise import FREE, POOLING
from narrower.cost.flops import window
from narrower.cost.macs import weight_shape
from narrower.cost.network_cost import FLOAT_BITS
from narrower.graph.network import Network, Operator, numel
from narrower.plan.plan import UNCHANGED, LayerPlan, Plan


@dataclass(frozen=True, slots=True)
class ChopLayer:
    """One layer at one batch size; computations count the whole batch."""

    layer: str
    kind: str
    total_parameters: int
    computations: int
    backward_computations: int
    input_buffer_size: int
    output_buffer_size: int
    bitops: int


@dataclass(frozen=True, slots=True)
class ChopProfile:
    """Layers and totals; ``model_size_bytes`` counts all parameters at 32 bits."""

    model: str
    batch_size: int
    layers: tuple[ChopLayer, ...]
    flops: int
    bitops: int
    model_size_bytes: float
    uncounted: tuple[str, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """What the totals leave out."""
        if not self.uncounted:
            return ()
        return (
            f"MASE/chop has no rule for {', '.join(self.uncounted)}: their computations and bitops are "
            "missing from the totals",
        )


def _linear(network: Network, operator: Operator, batch: int) -> int:
    return prod(weight_shape(network, operator)) * numel(operator.input_shapes[0][:-1], batch)


def _convolution(network: Network, operator: Operator, batch: int) -> int:
    return numel(operator.output_shape, batch) * prod(weight_shape(network, operator)[1:])


def _per_input(factor: int) -> Callable[[Network, Operator, int], int]:
    return lambda _network, operator, batch: factor * numel(operator.input_shapes[0], batch)


def _pooling(_network: Network, operator: Operator, batch: int) -> int:
    return numel(operator.output_shape, batch) * window(operator)


COMPUTATIONS: dict[str, Callable[[Network, Operator, int], int]] = {
    "linear": _linear,
    "conv1d": _convolution,
    "conv2d": _convolution,
    "batch_norm": _per_input(4),
    "layer_norm": _per_input(5),
    "adaptive_avg_pool1d": _per_input(1),
    "adaptive_avg_pool2d": _per_input(1),
    **dict.fromkeys(POOLING, _pooling),
    **dict.fromkeys(
        ("relu", "relu6", "hardtanh", "leaky_relu", "gelu", "silu", "sigmoid", "tanh", "softmax"),
        _per_input(1),
    ),
    **dict.fromkeys(("add", "sub", "mul", "div"), _per_input(1)),
}


def chop_profile(network: Network, batch_size: int = 1, plan: Plan | None = None) -> ChopProfile:
    """Profile by the rules of MASE/chop."""
    layers = dict(plan.layers) if plan else {}
    rows, uncounted = [], []
    for operator in network.operators:
        if operator.kind in FREE and operator.kind != "dropout":
            continue
        rule = COMPUTATIONS.get(operator.kind)
        if rule is None and operator.kind != "dropout":
            uncounted.append(f"{operator.layer} ({operator.kind})")
            continue
        computations = rule(network, operator, batch_size) if rule else 0
        rows.append(_row(network, operator, computations, batch_size, layers.get(operator.layer, UNCHANGED)))
    parameters = sum(p.numel for p in network.parameters if not p.is_buffer)
    return ChopProfile(
        model=network.name,
        batch_size=batch_size,
        layers=tuple(rows),
        flops=sum(row.computations for row in rows),
        bitops=sum(row.bitops for row in rows),
        model_size_bytes=parameters * FLOAT_BITS / 8,
        uncounted=tuple(uncounted),
    )


def _row(network: Network, operator: Operator, computations: int, batch: int, plan: LayerPlan) -> ChopLayer:
    weight = network.weight_of(operator)
    held = [network.parameter_by_name[name] for name in operator.parameters]
    parameters = weight.numel if weight else sum(p.numel for p in held if not p.is_buffer)
    is_leaf = operator.layer == operator.module
    return ChopLayer(
        layer=operator.layer,
        kind=operator.module_type if is_leaf else operator.kind,
        total_parameters=parameters,
        computations=computations,
        backward_computations=2 * computations if weight else computations,
        input_buffer_size=numel(operator.input_shapes[0], batch) if operator.input_shapes else 0,
        output_buffer_size=numel(operator.output_shape, batch),
        bitops=round(computations * plan.data.bits),
    )


def chop_average_bitwidth(network: Network, plan: Plan) -> float | None:
    """Mean weight width of the layers that have a number format; None where none has."""
    counted = [
        (weight.numel, layer.weight.bits)
        for name, layer in plan.layers
        for operator in network.product_layers.get(name, ())[:1]
        if layer.is_quantized and (weight := network.weight_of(operator)) is not None
    ]
    total = sum(count for count, _ in counted)
    return sum(count * bits for count, bits in counted) / total if total else None
