"""What a network costs under a plan of number formats."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from narrower.cost.flops import flops
from narrower.cost.macs import macs
from narrower.graph.network import Network, Operator
from narrower.plan import UNCHANGED, LayerPlan, Plan

FLOAT_BITS = 32


@dataclass(frozen=True)
class NetworkCost:
    """Costs of one network, per sample. Every cost is a constant plus a sum over layers."""

    network: Network

    @cached_property
    def macs_by_operator(self) -> Mapping[str, int]:
        return {operator.name: macs(self.network, operator) for operator in self.network.operators}

    @cached_property
    def flops_by_operator(self) -> Mapping[str, int | None]:
        return {operator.name: flops(self.network, operator) for operator in self.network.operators}

    @cached_property
    def uncounted(self) -> tuple[Operator, ...]:
        """Operators that no rule for flops covers."""
        return tuple(o for o in self.network.operators if self.flops_by_operator[o.name] is None)

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates of all products."""
        return sum(self.macs_by_operator.values())

    @cached_property
    def flops(self) -> int:
        """Floating-point operations of all operators that a rule covers (see ``uncounted``)."""
        return sum(count or 0 for count in self.flops_by_operator.values())

    @cached_property
    def weight_count(self) -> int:
        """Weights of all products, shared ones once."""
        return sum(self._weights(layer) for layer in self.network.product_layers)

    @cached_property
    def parameter_count(self) -> int:
        """Parameters of the model, shared ones once; buffers are not parameters."""
        return sum(p.numel for p in self.network.parameters if not p.is_buffer)

    @cached_property
    def buffer_bytes(self) -> float:
        """Size of the buffers (running means, constants) at 32 bits each."""
        return sum(p.numel for p in self.network.parameters if p.is_buffer) * FLOAT_BITS / 8

    def of(self, plan: Plan) -> dict[str, float]:
        """All costs of ``plan`` by name; widths must be 1 (a resized network has a cost of its own)."""
        layers = dict(plan.layers)
        return {name: metric(self, layers) for name, metric in COSTS.items()}

    def layer_bitops(self, layer: str, plan: LayerPlan) -> int:
        """Bit operations of one layer's products."""
        total = 0
        for operator in self.network.product_layers.get(layer, ()):
            is_weighted = self.network.weight_of(operator) is not None
            other_bits = plan.weight.bits if is_weighted else plan.data.bits
            total += self.macs_by_operator[operator.name] * plan.data.bits * other_bits
        return total

    def layer_weight_bits(self, layer: str, plan: LayerPlan) -> int:
        """Bits of one layer's weights."""
        return self._weights(layer) * plan.weight.bits

    def layer_saved_bits(self, layer: str, plan: LayerPlan) -> int:
        """Bits that a layer's parameters take less than at 32 bits."""
        return self._weights(layer) * (FLOAT_BITS - plan.weight.bits) + self._biases(layer) * (
            FLOAT_BITS - plan.bias.bits
        )

    def _weights(self, layer: str) -> int:
        return self._operand_count(layer, self.network.weight_of)

    def _biases(self, layer: str) -> int:
        return self._operand_count(layer, self.network.bias_of)

    def _operand_count(self, layer: str, operand: Callable[[Operator], object]) -> int:
        found = {operand(operator) for operator in self.network.product_layers.get(layer, ())}
        return sum(getattr(parameter, "numel", 0) for parameter in found)


Layers = Mapping[str, LayerPlan]


def bitops(cost: NetworkCost, layers: Layers) -> float:
    """Sum over products of macs x weight bits x data bits; 32 where not quantized."""
    return sum(
        cost.layer_bitops(layer, layers.get(layer, UNCHANGED)) for layer in cost.network.product_layers
    )


def model_size(cost: NetworkCost, layers: Layers) -> float:
    """Bytes of all parameters, each at its own width."""
    saved = sum(cost.layer_saved_bits(layer, plan) for layer, plan in layers.items())
    return (cost.parameter_count * FLOAT_BITS - saved) / 8


def average_bitwidth(cost: NetworkCost, layers: Layers) -> float:
    """Mean width of the products' weights, weighted by their number; 32 where there is none."""
    if cost.weight_count == 0:
        return float(FLOAT_BITS)
    bits = sum(
        cost.layer_weight_bits(layer, layers.get(layer, UNCHANGED)) for layer in cost.network.product_layers
    )
    return bits / cost.weight_count


def memory_density(cost: NetworkCost, layers: Layers) -> float:
    """32 over the average bit width."""
    return FLOAT_BITS / average_bitwidth(cost, layers)


COSTS: dict[str, Callable[[NetworkCost, Layers], float]] = {
    "macs": lambda cost, _layers: cost.macs,
    "flops": lambda cost, _layers: cost.flops,
    "bitops": bitops,
    "model_size": model_size,
    "average_bitwidth": average_bitwidth,
    "memory_density": memory_density,
}
