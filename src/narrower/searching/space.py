"""What can be chosen: named choices with finite lists of options, and the plan that each assignment gives."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from math import prod

from narrower.plan import UNCHANGED, LayerPlan, Plan, plan_to_dict

Value = int | float | str
Fragment = tuple[tuple[str, LayerPlan], ...]
Options = tuple[int, ...]  # for each slot, the position of its option


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing to choose, such as ``seq_blocks.2.weight_width``."""

    name: str
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Slot:
    """Choices that decide one part of the plan together.

    ``options`` are the distinct parts that they can give; ``option_of`` maps each combination of choices (a
    tuple of positions) to one of them. Combinations that make no difference share an option.
    """

    name: str
    choices: tuple[Choice, ...]
    options: tuple[Fragment, ...]
    option_of: dict[tuple[int, ...], int]

    @cached_property
    def layers(self) -> tuple[str, ...]:
        """Layers that an option changes."""
        return tuple(dict.fromkeys(layer for option in self.options for layer, _ in option))

    @property
    def option_tables(self) -> tuple[dict[str, dict[str, str | float]], ...]:
        """The options in the TOML form of plans."""
        return tuple(plan_to_dict(Plan(option)) for option in self.options)


@dataclass(frozen=True)
class Space:
    """All plans of a search: slots of widths first, then slots of number formats in the order of the network.

    A plan is addressed by its options (one position for each slot) or by its index, the number that these
    positions are the digits of; the last slot varies fastest.
    """

    slots: tuple[Slot, ...]

    @cached_property
    def size(self) -> int:
        """Number of different plans."""
        return prod(len(slot.options) for slot in self.slots)

    @cached_property
    def choices(self) -> tuple[Choice, ...]:
        """All choices, slot after slot."""
        return tuple(choice for slot in self.slots for choice in slot.choices)

    @cached_property
    def layers(self) -> tuple[str, ...]:
        """Layers that the space can change."""
        return tuple(dict.fromkeys(layer for slot in self.slots for layer in slot.layers))

    @cached_property
    def _must_merge(self) -> bool:
        """Whether slots touch several layers, or the same one: its width and its formats are chosen apart."""
        touched = [layer for slot in self.slots for layer in slot.layers]
        return len(set(touched)) < len(touched) or any(len(slot.layers) > 1 for slot in self.slots)

    @cached_property
    def _in_name_order(self) -> tuple[int, ...]:
        return tuple(
            sorted(
                range(len(self.slots)),
                key=lambda i: min(self.slots[i].layers, default=""),
            )
        )

    def plan(self, options: Options) -> Plan:
        """The plan of an assignment."""
        slots = self.slots
        if self._must_merge:
            return Plan(merged(slot.options[option] for slot, option in zip(slots, options, strict=True)))
        return Plan(tuple([entry for i in self._in_name_order for entry in slots[i].options[options[i]]]))

    def options_at(self, index: int) -> Options:
        """The assignment with a number in ``range(size)``."""
        digits = []
        for slot in reversed(self.slots):
            index, digit = divmod(index, len(slot.options))
            digits.append(digit)
        return tuple(reversed(digits))

    def index_of(self, options: Options) -> int:
        """The number of an assignment."""
        index = 0
        for slot, digit in zip(self.slots, options, strict=True):
            index = index * len(slot.options) + digit
        return index

    def options_of(self, positions: Sequence[int]) -> Options:
        """The assignment that one position for each of ``choices`` gives."""
        options, start = [], 0
        for slot in self.slots:
            stop = start + len(slot.choices)
            options.append(slot.option_of[tuple(positions[start:stop])])
            start = stop
        return tuple(options)

    def enumerate(self) -> Iterator[Options]:
        """All assignments in the order of their index."""
        return product(*(range(len(slot.options)) for slot in self.slots))

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of the choices and the plans that they give."""
        content = [
            [slot.name, [[c.name, list(c.values)] for c in slot.choices], list(slot.option_tables)]
            for slot in self.slots
        ]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def merged(fragments: Iterable[Fragment]) -> Fragment:
    """Several parts of a plan as one, in the order of names.

    Of a layer that two of them name, one sets the width and one the formats.
    """
    found: dict[str, LayerPlan] = {}
    for fragment in fragments:
        for layer, plan in fragment:
            before = found.get(layer)
            if before is not None:
                formats, wide = (before, plan) if before.width == 1.0 else (plan, before)
                plan = replace(formats, width=wide.width)  # noqa: PLW2901
            found[layer] = plan
    return tuple(sorted(found.items()))


def make_slot(name: str, choices: Sequence[Choice], fragments: dict[tuple[int, ...], Fragment]) -> Slot:
    """Build a slot from what each combination of positions gives; equal parts become one option.

    Layers that stay as they are are dropped from a part.
    """
    options: dict[Fragment, int] = {}
    option_of = {}
    for positions, fragment in fragments.items():
        changed = tuple(sorted((layer, plan) for layer, plan in fragment if plan != UNCHANGED))
        option_of[positions] = options.setdefault(changed, len(options))
    return Slot(name, tuple(choices), tuple(options), option_of)
