"""What can be chosen: named choices with finite lists of options, and the plan that each assignment gives."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.plan import ROUNDED, UNCHANGED, LayerPlan, Plan, plan_to_dict

Value = int | float | str
Fragment = tuple[tuple[str, LayerPlan], ...]
Options = tuple[int, ...]  # for each slot, the position of its option
MOST_LISTED = 200_000  # options of a slot that are listed anywhere


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing to choose, such as ``seq_blocks.2.weight_width``."""

    name: str
    values: tuple[Value, ...]


class Slot(Protocol):
    """Choices that decide one part of the plan together.

    Options are the different parts that they can give, by number. Combinations of choices that make no
    difference share an option.
    """

    @property
    def name(self) -> str:
        """What it decides: a layer, or a group of them."""

    @property
    def choices(self) -> tuple[Choice, ...]:
        """What is chosen."""

    @property
    def count(self) -> int:
        """Number of options."""

    @property
    def layers(self) -> tuple[str, ...]:
        """Layers that an option changes."""

    @property
    def examples(self) -> tuple[int, ...]:
        """One option of each group that costs the same."""

    @property
    def record(self) -> Any:
        """The options as a run records them where they are too many to list."""

    def group_of(self, options: NDArray[np.int64]) -> NDArray[np.int64]:
        """The groups [N] of options [N]."""

    def fragment(self, option: int) -> Fragment:
        """The part of the plan that an option gives."""

    def option_of(self, positions: Sequence[int]) -> int:
        """The option that one position for each choice gives."""

    def positions(self, options: NDArray[np.int64]) -> NDArray[np.int64]:
        """For options [N] the first positions [N, choices] that give them."""


@dataclass(frozen=True)
class ListedSlot:
    """A slot whose options are listed.

    ``options`` are the distinct parts; ``numbers`` maps each combination of positions to one of them.
    """

    name: str
    choices: tuple[Choice, ...]
    options: tuple[Fragment, ...]
    numbers: dict[tuple[int, ...], int]

    @property
    def count(self) -> int:
        return len(self.options)

    @cached_property
    def layers(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(layer for option in self.options for layer, _ in option))

    @property
    def examples(self) -> tuple[int, ...]:
        return tuple(range(self.count))

    def group_of(self, options: NDArray[np.int64]) -> NDArray[np.int64]:
        return options

    @property
    def record(self) -> list[dict[str, dict[str, str | float]]]:
        return option_tables(self)

    def fragment(self, option: int) -> Fragment:
        return self.options[option]

    def option_of(self, positions: Sequence[int]) -> int:
        return self.numbers[tuple(positions)]

    @cached_property
    def _positions(self) -> NDArray[np.int64]:
        first = {option: positions for positions, option in reversed(self.numbers.items())}
        return np.array([first[option] for option in range(self.count)], dtype=np.int64)

    def positions(self, options: NDArray[np.int64]) -> NDArray[np.int64]:
        return self._positions[options]


def option_tables(slot: Slot) -> list[dict[str, dict[str, str | float]]]:
    """The options of a slot in the TOML form of plans."""
    return [plan_to_dict(Plan(slot.fragment(option))) for option in range(slot.count)]


def widest_of(slot: Slot) -> dict[str, float]:
    """The largest multiplier of each layer of a slot."""
    widest: dict[str, float] = {}
    for option in slot.examples:
        for layer, plan in slot.fragment(option):
            widest[layer] = max(plan.width, widest.get(layer, plan.width))
    return widest


@dataclass(frozen=True)
class Space:
    """All plans of a search: slots of widths first, then slots of number formats in the order of the network.

    A plan is addressed by its options (one position for each slot) or by its index, the number that these
    positions are the digits of; the last slot varies fastest.
    """

    slots: tuple[Slot, ...]

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """Number of options of each slot."""
        return tuple(slot.count for slot in self.slots)

    @cached_property
    def size(self) -> int:
        """Number of different plans."""
        return prod(self.counts)

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
            return Plan(merged(slot.fragment(option) for slot, option in zip(slots, options, strict=True)))
        return Plan(tuple([entry for i in self._in_name_order for entry in slots[i].fragment(options[i])]))

    def options_at(self, index: int) -> Options:
        """The assignment with a number in ``range(size)``."""
        digits = []
        for count in reversed(self.counts):
            index, digit = divmod(index, count)
            digits.append(digit)
        return tuple(reversed(digits))

    def index_of(self, options: Options) -> int:
        """The number of an assignment."""
        index = 0
        for count, digit in zip(self.counts, options, strict=True):
            index = index * count + digit
        return index

    def options_of(self, positions: Sequence[int]) -> Options:
        """The assignment that one position for each of ``choices`` gives."""
        options, start = [], 0
        for slot in self.slots:
            stop = start + len(slot.choices)
            options.append(slot.option_of(positions[start:stop]))
            start = stop
        return tuple(options)

    def positions_of(self, options: Options) -> list[int]:
        """The first positions of ``choices`` that give an assignment."""
        pairs = zip(self.slots, options, strict=True)
        return [p for slot, option in pairs for p in slot.positions(np.array([option]))[0].tolist()]

    def enumerate(self) -> Iterator[Options]:
        """All assignments in the order of their index."""
        if max(self.counts, default=0) > MOST_LISTED:  # "product" makes lists of what it combines
            return map(self.options_at, range(self.size))
        return product(*map(range, self.counts))

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of the choices and the plans that they give."""
        content = [
            [
                slot.name,
                [[c.name, list(c.values)] for c in slot.choices],
                option_tables(slot) if slot.count <= MOST_LISTED else slot.record,
            ]
            for slot in self.slots
        ]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def merged(fragments: Iterable[Fragment]) -> Fragment:
    """Several parts of a plan as one, in the order of names; what they say of one layer is put together."""
    found: dict[str, LayerPlan] = {}
    for fragment in fragments:
        for layer, plan in fragment:
            before = found.get(layer)
            found[layer] = plan if before is None else _both(before, plan)
    return tuple(sorted(found.items()))


def _both(one: LayerPlan, other: LayerPlan) -> LayerPlan:
    """What two plans of a layer change, each something else."""
    data, weight, bias, output = (
        getattr(one if getattr(other, part) == FLOAT32 else other, part) for part in ROUNDED
    )
    return LayerPlan(data, weight, bias, one.width if other.width == 1.0 else other.width, output)


def make_slot(name: str, choices: Sequence[Choice], fragments: dict[tuple[int, ...], Fragment]) -> ListedSlot:
    """Build a slot from what each combination of positions gives; equal parts become one option.

    Layers that stay as they are are dropped from a part.
    """
    options: dict[Fragment, int] = {}
    option_of = {}
    for positions, fragment in fragments.items():
        changed = tuple(sorted((layer, plan) for layer, plan in fragment if plan != UNCHANGED))
        option_of[positions] = options.setdefault(changed, len(options))
    return ListedSlot(name, tuple(choices), tuple(options), option_of)
