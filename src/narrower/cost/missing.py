"""Which work of a network no plan quantizes, and which work no rule counts."""

from collections.abc import Iterable
from dataclasses import dataclass

from narrower.cost.network_cost import NetworkCost
from narrower.graph.network import Operator

LARGEST_SHARE = 0.01  # of the macs that a search passes over without being told to
MOST_NAMES = 4  # layers that a sentence lists


@dataclass(frozen=True, slots=True)
class Missing:
    """Layers of one kind that no plan reaches.

    ``macs`` are theirs; None where no rule counts them, and they may well multiply.
    """

    kind: str
    layers: tuple[str, ...]
    macs: int | None
    total_macs: int
    has_flops: bool

    @property
    def share(self) -> float:
        """The share of all macs; of what is not known, all."""
        if self.macs is None:
            return 1.0
        return self.macs / self.total_macs if self.total_macs else 0.0

    @property
    def name(self) -> str:
        """The layers, if need be the first of them, and their kind."""
        return f"{self._where} ({self.kind})"

    @property
    def _where(self) -> str:
        some, rest = ", ".join(self.layers[:MOST_NAMES]), len(self.layers) - MOST_NAMES
        return f"{some} and {rest:,} more" if rest > 0 else some

    @property
    def sentence(self) -> str:
        """What a user should know before a search."""
        if self.macs is None:
            return (
                f"{self.name}: no rule says what it computes; its flops are missing from the "
                "totals, and so are its macs and bitops if it multiplies matrices"
            )
        if not self.has_flops:
            return f"{self.name}: no rule says how much it computes; its flops are missing from the total"
        amount = f"{self.macs:,} of {self.total_macs:,} macs, {percent(self.share)}"
        return (
            f"{self._where} ({self.kind}, {amount}): no plan quantizes it; it counts 32 bits in bitops and "
            "energy"
        )


def missing(cost: NetworkCost) -> tuple[Missing, ...]:
    """What no plan of a network quantizes and what no rule counts, the largest share first."""
    groups: dict[tuple[str, bool, bool], list[Operator]] = {}
    recurrent = [o for operators in cost.network.recurrent_layers.values() for o in operators]
    for operator in recurrent:
        groups.setdefault((operator.kind, True, True), []).append(operator)
    for operator in cost.uncounted:
        groups.setdefault((operator.kind, operator.has_no_products, False), []).append(operator)
    found = [
        Missing(
            kind,
            tuple(dict.fromkeys(operator.layer for operator in operators)),
            sum(cost.macs_by_operator[operator.name] for operator in operators) if has_macs else None,
            cost.macs,
            has_flops,
        )
        for (kind, has_macs, has_flops), operators in groups.items()
    ]
    return tuple(sorted(found, key=lambda group: -group.share))


def percent(share: float) -> str:
    """A share as text."""
    return f"{100 * share:.1f} %"


def missing_share(found: Iterable[Missing]) -> float:
    """The share of all macs that no plan reaches; 1 where it is not known."""
    return min(1.0, sum(group.share for group in found))
