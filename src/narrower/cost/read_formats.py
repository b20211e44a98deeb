"""In which formats products read their operands under a plan, where these are rounded there or on edges."""

from dataclasses import dataclass

from narrower.graph.edges import SOFTMAX, Edges
from narrower.graph.network import RECURRENT_KINDS, Network, Operator
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.plan import UNCHANGED, LayerPlan, Plan


@dataclass(frozen=True, slots=True)
class Operands:
    """The formats of both operands of a product, and the share of an operator's products that have these."""

    first: NumberFormat
    second: NumberFormat
    macs_share: float = 1.0


class ReadFormats:
    """What the products of a network read under a plan."""

    def __init__(self, network: Network, edges: Edges, plan: Plan) -> None:
        self._network, self._edges = network, edges
        self.layers = dict(plan.layers)
        self._outputs = plan.outputs

    def of(self, layer: str) -> LayerPlan:
        """The plan of a layer."""
        return self.layers.get(layer, UNCHANGED)

    def operands(self, operator: Operator) -> tuple[Operands, ...]:
        """The operands of an operator's products: of attention queries and keys, then weights and values."""
        chosen = self.of(operator.layer)
        has_weight = self._network.weight_of(operator) is not None
        if operator.kind in RECURRENT_KINDS:  # its states are read at the width of its data, edges or not
            return (Operands(chosen.data, chosen.weight),)
        if chosen.data != FLOAT32 or not self._outputs:
            return (Operands(chosen.data, chosen.weight if has_weight else chosen.data),)
        if operator.kind == "scaled_dot_product_attention":
            return self._attention(operator)
        read = [self._written(value) for value in operator.inputs] or [FLOAT32]
        return (Operands(read[0], chosen.weight if has_weight else read[-1]),)

    def data(self, operator: Operator) -> tuple[NumberFormat, ...]:
        """The format of each input."""
        chosen = self.of(operator.layer)
        is_own = chosen.data != FLOAT32 or not self._outputs
        return tuple(chosen.data if is_own else self._written(value) for value in operator.inputs)

    def written(self, operator: Operator) -> NumberFormat:
        """The format of what an operator writes."""
        return self._written(operator.name)

    def _written(self, value: str) -> NumberFormat:
        """The format of the edge whose numbers a value holds."""
        return self._outputs.get(self._edges.behind.get(value, ""), FLOAT32)

    def _attention(self, operator: Operator) -> tuple[Operands, ...]:
        places = operator.attribute("operands")
        assert isinstance(places, tuple)
        query, key, value = (
            FLOAT32 if place < 0 else self._written(operator.inputs[place]) for place in places
        )
        inner, outer = (operator.input_shapes[max(place, 0)][-1] for place in (places[0], places[2]))
        assert isinstance(inner, int)
        assert isinstance(outer, int)
        share = inner / (inner + outer)
        weights = self._outputs.get(self._edges.behind[operator.name] + SOFTMAX, FLOAT32)
        return Operands(query, key, share), Operands(weights, value, 1 - share)
