"""What a network costs under a plan of number formats."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, Literal

from narrower.cost.each_entry import width_pairs
from narrower.cost.energy import ATTOJOULES, multiply_accumulate_attojoules
from narrower.cost.flops import flops
from narrower.cost.macs import macs
from narrower.cost.read_formats import ReadFormats
from narrower.graph.edges import Edges, edges_of
from narrower.graph.network import Network, Operator, Parameter
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.formats.sparse import kept_share
from narrower.plan.plan import OPERANDS, LayerPlan, Plan

FLOAT_BITS = 32
DECIDING_TOTALS = {
    "bitops": "bitops",
    "model_size": "parameter_bits",
    "average_bitwidth": "weight_bits",
    "memory_density": "weight_bits",
    "energy": "attojoules",
}
TOTALS = ("bitops", "attojoules", "parameter_bits", "weight_bits", "formatted_weights", "formatted_bits")
FALLS_WITH_TOTAL = ("memory_density",)
Convention = Literal["narrower", "chop"]


@dataclass(frozen=True)
class NetworkCost:
    """Costs of one network, per sample.

    macs: multiply-accumulates of all products. flops: 2 for each of them, plus the other operators by the
    tables in ``cost/elementwise.py``. bitops: macs x weight bits x data bits, 32 where not quantized; for a
    product of two activations, the bits of both. model_size: bytes of all parameters, each at its own width,
    shared ones once. average_bitwidth: mean width of the weights of products, recurrent layers and
    embeddings, weighted by their number; 32 where there is none. memory_density: 32 over that. By the
    convention of MASE/chop the mean leaves out layers without a number format; where no layer has one it is
    32. energy: picojoules of the multiply-accumulates in a 45 nm process, by the table in ``cost/energy.py``,
    which is extrapolated where widths were not measured.
    """

    network: Network
    convention: Convention = "narrower"

    @cached_property
    def edges(self) -> Edges:
        """The tensors that plans can round where they are written."""
        return edges_of(self.network)

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
        """Weights of all layers that a plan can round, shared ones once."""
        return sum(self._weights(layer) for layer in self.network.rounded_layers)

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
        layers = {**dict.fromkeys(self.network.rounded_layers), **dict.fromkeys(dict(plan.layers))}
        formats = self.formats(plan)
        found = {"parameter_bits": self.parameter_count * FLOAT_BITS}
        for layer in layers:
            for name, value in self._layer_totals(layer, formats).items():
                found[name] = found.get(name, 0) + value
        return {name: found.get(name, 0) for name in TOTALS}

    def layer_totals(self, layer: str, plan: Plan) -> dict[str, int]:
        """What one layer adds to the totals under a plan."""
        return self._layer_totals(layer, self.formats(plan))

    def _layer_totals(self, layer: str, formats: ReadFormats) -> dict[str, int]:
        chosen, multiplies = formats.of(layer), layer in self.network.multiplying_layers
        weight_bits = self.layer_weight_bits(layer, chosen)
        is_formatted = any(getattr(chosen, operand) != FLOAT32 for operand in OPERANDS)
        return {
            "bitops": self.layer_bitops(layer, formats) if multiplies else 0,
            "attojoules": self.layer_attojoules(layer, formats) if multiplies else 0,
            "parameter_bits": -self.layer_saved_bits(layer, chosen),
            "weight_bits": weight_bits,
            "formatted_weights": self._weights(layer) if is_formatted else 0,
            "formatted_bits": weight_bits if is_formatted else 0,
        }

    def formats(self, plan: Plan) -> ReadFormats:
        """What products read under a plan."""
        return ReadFormats(self.network, self.edges, plan)

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

    def layer_bitops(self, layer: str, formats: ReadFormats) -> int:
        """Bit operations of one layer's products."""
        total = 0
        for operator in self.network.multiplying_layers.get(layer, ()):
            for count, first, second in self._pairs(operator, formats):
                total += round(count * _counted(first) * _counted(second))
        return total

    def layer_attojoules(self, layer: str, formats: ReadFormats) -> int:
        """Energy of one layer's multiply-accumulates, in millionths of a picojoule.

        A weight or data without bits is not multiplied.
        """
        return sum(
            count * multiply_accumulate_attojoules(first, second)
            for operator in self.network.multiplying_layers.get(layer, ())
            for count, first, second in self._pairs(operator, formats)
            if 0 not in (first, second)
        )

    def _pairs(
        self, operator: Operator, formats: ReadFormats
    ) -> Sequence[tuple[int, float | None, float | None]]:
        """``operand_bits``, also where entries have widths of their own."""
        weight, operands = self.network.weight_of(operator), formats.operands(operator)
        if weight is None or len(operands) > 1:
            return self.operand_bits(operator, formats)
        pairs = width_pairs(operator, weight.shape, operands[0].first, operands[0].second)
        if pairs is None:
            return self.operand_bits(operator, formats)
        times = self.macs_by_operator[operator.name] // max(1, weight.numel)
        return [(count * times, *pair) for pair, count in pairs.items()]

    def operand_bits(
        self, operator: Operator, formats: ReadFormats
    ) -> list[tuple[int, float | None, float | None]]:
        """Multiply-accumulates, and the widths of their operands; None: float32.

        Those with a weight that is zero by its format are none.
        """
        found = []
        whole = left = self.macs_by_operator[operator.name]
        for operands in formats.operands(operator):
            own = min(left, round(whole * operands.macs_share))
            left -= own
            share = kept_share(operands.first) * kept_share(operands.second)
            own = own if share == 1 else round(own * share)
            first, second = (
                None if chosen == FLOAT32 else chosen.bits for chosen in (operands.first, operands.second)
            )
            found.append((own, first, second))
        return found

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
        return self._operand_shapes(layer, self.network.weights_of)

    def _bias_shapes(self, layer: str) -> list[tuple[int, ...]]:
        return self._operand_shapes(layer, self.network.biases_of)

    def _operand_shapes(
        self, layer: str, operands: Callable[[Operator], tuple[Parameter, ...]]
    ) -> list[tuple[int, ...]]:
        operators = self.network.rounded_layers.get(layer, ())
        found = dict.fromkeys(parameter for operator in operators for parameter in operands(operator))
        return [parameter.shape for parameter in found]


def _counted(bits: float | None) -> float:
    return FLOAT_BITS if bits is None else bits
