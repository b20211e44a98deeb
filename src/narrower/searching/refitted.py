"""Plans of a space in the formats that the same choices give in that of another model, or of other data."""

from collections.abc import Callable
from dataclasses import replace

from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.plan import OPERANDS, Plan
from narrower.searching.format_slot import FormatSlot, OperandFormats
from narrower.searching.space import Space

Formats = dict[NumberFormat, NumberFormat]


def refitted(space: Space, other: Space) -> Callable[[Plan], Plan]:
    """What turns plans of ``space`` into those of the same choices in ``other``: other automatic fractions.

    Different plans stay different: an operand of which two formats would become one keeps its own, as do
    edges.
    """
    found: dict[tuple[str, str], Formats] = {}
    for slot, another in zip(space.slots, other.slots, strict=True):
        if isinstance(slot, FormatSlot) and isinstance(another, FormatSlot):
            for column, operand in enumerate(OPERANDS):
                formats: Formats = {}
                for block, its in zip(slot.blocks, another.blocks, strict=True):
                    formats = {**_pairs(block[column], its[column]), **formats}
                if len(set(formats.values())) == len(formats):
                    found[slot.name, operand] = formats

    def of(plan: Plan) -> Plan:
        layers = []
        for name, layer in plan.layers:
            formats = {operand: getattr(layer, operand) for operand in OPERANDS}
            changed = {part: found.get((name, part), {}).get(own, own) for part, own in formats.items()}
            layers.append((name, replace(layer, **changed)))
        return Plan.of(layers)

    return of


def _pairs(own: OperandFormats, new: OperandFormats) -> Formats:
    """Each format, and the one that its first choices give in the other space."""
    return {
        before: new.formats[new.number_of[tuple(first[place] for place in own.read)]]
        for before, first in zip(own.formats, own.first, strict=True)
    }
