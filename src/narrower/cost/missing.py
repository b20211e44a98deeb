"""Which work of a network no rule counts."""

from dataclasses import dataclass

from narrower.cost.network_cost import NetworkCost
from narrower.graph.network import Operator

MOST_NAMES = 4  # layers that a sentence lists


@dataclass(frozen=True, slots=True)
class Missing:
    """Layers of one kind of which no rule says what they compute; some may well multiply matrices."""

    kind: str
    layers: tuple[str, ...]
    may_multiply: bool

    @property
    def name(self) -> str:
        """The layers, if need be the first of them, and their kind."""
        some, rest = ", ".join(self.layers[:MOST_NAMES]), len(self.layers) - MOST_NAMES
        return f"{some} and {rest:,} more ({self.kind})" if rest > 0 else f"{some} ({self.kind})"

    @property
    def sentence(self) -> str:
        """What a user should know before a search."""
        if self.may_multiply:
            return (
                f"{self.name}: no rule says what it computes; its flops are missing from the "
                "totals, and so are its macs and bitops if it multiplies matrices"
            )
        return f"{self.name}: no rule says how much it computes; its flops are missing from the total"


def missing(cost: NetworkCost) -> tuple[Missing, ...]:
    """What no rule counts, first what may multiply."""
    groups: dict[tuple[str, bool], list[Operator]] = {}
    for operator in cost.uncounted:
        groups.setdefault((operator.kind, not operator.has_no_products), []).append(operator)
    found = [
        Missing(kind, tuple(dict.fromkeys(operator.layer for operator in operators)), may_multiply)
        for (kind, may_multiply), operators in groups.items()
    ]
    return tuple(sorted(found, key=lambda group: not group.may_multiply))
