"""What a network costs under a plan of number formats."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, Literal

from narrower.cost.each_entry import pair_bitops, width_pairs
from narrower.cost.energy import ATTOJOULES, multiply_accumulate_attojoules
from narrower.cost.flops import flops
from narrower.cost.macs import macs
from narrower.graph.network import MATRIX, RECURRENT_KINDS, Network, Operator, Parameter
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.plan import UNCHANGED, LayerPlan, Plan

FLOAT_BITS = 32
DECIDING_TOTALS = {
    "bitops": "bitops",
    "model_size": "parameter_bits",
    "average_bitwidth": "weight_bits",
    "memory_density": "weight_bits",
    "energy": "attojoules",
}
FALLS_WITH_TOTAL = ("memory_density",)
Convention = Literal["narrower", "chop"]


@dataclass(frozen=True)
class NetworkCost:
    """Costs of one network, per sample.

    macs: multiply-accumulates of all products. flops: 2 for each of them, plus the other operators by the
    tables in ``cost/elementwise.py``. bitops: macs x weight bits x data bits, 32 where not quantized, as in
    recurrent layers; for a product of two activations, the bits of both. model_size: bytes of all parameters,
    each at its own width, shared ones once. average_bitwidth: mean width of the products' weights, weighted
    by their number; 32 where there is none. memory_density: 32 over that. By the convention of MASE/chop the
    mean leaves out layers without a number format; where no layer has one it is 32. energy: picojoules of the
    multiply-accumulates in a 45 nm process, by the table in ``cost/energy.py``, which is extrapolated where
    widths were not measured.
    """

    network: Network
    convention: Convention = "narrower"

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
        return sum(self._weights(layer) for layer in self.network.multiplying_layers)

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
        return self.metrics(self.totals(plan))

    def totals(self, plan: Plan) -> dict[str, int]:
        """The whole numbers that the costs follow from; each is a sum over layers."""
        layers = dict(plan.layers)
        saved = sum(self.layer_saved_bits(layer, chosen) for layer, chosen in layers.items())
        multiplying = self.network.multiplying_layers
        return {
            "bitops": sum(self.layer_bitops(layer, layers.get(layer, UNCHANGED)) for layer in multiplying),
            "attojoules": sum(
                self.layer_attojoules(layer, layers.get(layer, UNCHANGED)) for layer in multiplying
            ),
            "parameter_bits": self.parameter_count * FLOAT_BITS - saved,
            "weight_bits": sum(
                self.layer_weight_bits(layer, layers.get(layer, UNCHANGED)) for layer in multiplying
            ),
            "formatted_weights": sum(self._weights(layer) for layer in layers if layers[layer].is_quantized),
            "formatted_bits": sum(
                self.layer_weight_bits(layer, chosen)
                for layer, chosen in layers.items()
                if chosen.is_quantized
            ),
        }

    def metrics(self, totals: Mapping[str, Any]) -> dict[str, Any]:
        """All costs by name, from totals that are numbers or arrays of numbers."""
        bits, count = totals["weight_bits"], totals["weight_bits"] * 0 + self.weight_count
        if self.convention == "chop":
            bits, count = totals["formatted_bits"], totals["formatted_weights"]
        none = count == 0  # nothing to average: what there is has 32 bits
        average = (bits + none * float(FLOAT_BITS)) / (count + none)
        constant = totals["bitops"] * 0
        return {
            "macs": constant + self.macs,
            "flops": constant + self.flops,
            "bitops": totals["bitops"],
            "model_size": totals["parameter_bits"] / 8,
            "average_bitwidth": average,
            "memory_density": FLOAT_BITS / average,
            "energy": totals["attojoules"] / ATTOJOULES,
        }

    def deciding_total(self, metric: str) -> str | None:
        """The total of which a metric is a monotone function; None where it depends on several or on none."""
        if self.convention == "chop" and metric in ("average_bitwidth", "memory_density"):
            return None
        return DECIDING_TOTALS.get(metric)

    def layer_bitops(self, layer: str, plan: LayerPlan) -> int:
        """Bit operations of one layer's products."""
        total = 0
        pairs = width_pairs(plan.data, plan.weight)
        for operator in self.network.multiplying_layers.get(layer, ()):
            if pairs is not None:
                total += pair_bitops(pairs, self.macs_by_operator[operator.name])
                continue
            widths = (bits or FLOAT_BITS for bits in self.operand_bits(operator, plan))
            total += round(self.macs_by_operator[operator.name] * prod(widths))
        return total

    def layer_attojoules(self, layer: str, plan: LayerPlan) -> int:
        """Energy of one layer's multiply-accumulates, in millionths of a picojoule.

        A weight or data without bits is not multiplied.
        """
        pairs = width_pairs(plan.data, plan.weight)
        if pairs is not None:
            each = sum(
                count * multiply_accumulate_attojoules(*pair) for pair, count in pairs.items() if all(pair)
            )
            macs = sum(self.macs_by_operator[o.name] for o in self.network.multiplying_layers.get(layer, ()))
            return each * (macs // sum(pairs.values()))
        return sum(
            self.macs_by_operator[operator.name]
            * multiply_accumulate_attojoules(*self.operand_bits(operator, plan))
            for operator in self.network.multiplying_layers.get(layer, ())
        )

    def operand_bits(self, operator: Operator, plan: LayerPlan) -> tuple[float | None, float | None]:
        """Widths of a product's two operands; None: float32, as in all recurrent layers."""
        if operator.kind in RECURRENT_KINDS:
            return None, None
        other = plan.data if self.network.weight_of(operator) is None else plan.weight
        data, second = (None if chosen == FLOAT32 else chosen.bits for chosen in (plan.data, other))
        return data, second

    def layer_weight_bits(self, layer: str, plan: LayerPlan) -> int:
        """Bits of one layer's weights, with their scales."""
        return sum(map(plan.weight.stored_bits, self._weight_shapes(layer)))

    def layer_saved_bits(self, layer: str, plan: LayerPlan) -> int:
        """Bits that a layer's parameters take less than at 32 bits."""
        shapes = ((plan.weight, self._weight_shapes(layer)), (plan.bias, self._bias_shapes(layer)))
        return sum(
            prod(shape) * FLOAT_BITS - chosen.stored_bits(shape) for chosen, all_ in shapes for shape in all_
        )

    def _weights(self, layer: str) -> int:
        return sum(map(prod, self._weight_shapes(layer)))

    def _weight_shapes(self, layer: str) -> list[tuple[int, ...]]:
        held = {name for o in self.network.recurrent_layers.get(layer, ()) for name in o.parameters}
        matrices = [
            p for p in map(self.network.parameter_by_name.__getitem__, held) if len(p.shape) == MATRIX
        ]
        return [*self._operand_shapes(layer, self.network.weight_of), *(p.shape for p in matrices)]

    def _bias_shapes(self, layer: str) -> list[tuple[int, ...]]:
        return self._operand_shapes(layer, self.network.bias_of)

    def _operand_shapes(
        self, layer: str, operand: Callable[[Operator], Parameter | None]
    ) -> list[tuple[int, ...]]:
        found = {operand(operator) for operator in self.network.product_layers.get(layer, ())}
        return [parameter.shape for parameter in found if parameter is not None]
