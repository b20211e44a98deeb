"""The form in which a run records the options of its space."""

from collections.abc import Mapping
from typing import Any

from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.plan import OPERANDS
from narrower.searching.numbering import Numbering
from narrower.searching.space import Space, option_tables

PlanTables = dict[str, dict[str, str | float]]  # the TOML form of a plan

SPACE_FACT = "space slots"
MOST_RECORDED = 4096  # options that are recorded one by one


def describe_space(space: Space) -> list[Any]:
    """What each slot's options give: enough to read a plan's number back.

    Parts of the plan one by one; where they are too many, the formats of a layer's operands.
    """
    return [option_tables(slot) if slot.count <= MOST_RECORDED else slot.record for slot in space.slots]


def read_formats(record: Mapping[str, Any]) -> tuple[Numbering, list[tuple[PlanTables, ...]]]:
    """How a layer's options are numbered, and for each operand what its different formats give."""
    layer, blocks = record["layer"], record["formats"]
    texts = [list(dict.fromkeys(text for block in blocks for text in block[name])) for name in OPERANDS]
    places = [{text: place for place, text in enumerate(own)} for own in texts]
    numbering = Numbering(
        tuple(
            tuple(
                tuple(place[text] for text in block[name])
                for name, place in zip(OPERANDS, places, strict=True)
            )
            for block in blocks
        )
    )
    return numbering, [
        tuple({} if text == FLOAT32.text else {layer: {operand: text}} for text in own)
        for operand, own in zip(OPERANDS, texts, strict=True)
    ]
