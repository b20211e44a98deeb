"""The slot of a layer's number formats: every combination of the formats of its operands, without a list."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np

from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.plan import OPERANDS, UNCHANGED, LayerPlan
from narrower.searching.numbering import Numbering, Numbers
from narrower.searching.space import Choice, Fragment, Value


@dataclass(frozen=True)
class OperandFormats:
    """The different formats that a name gives to an operand, in the order in which choices give them.

    ``read`` are the places, among the operand's choices, of those that the name reads. ``number_of`` tells
    for positions of these which format they give; ``first`` [formats, choices] are the first positions of all
    choices that give a format.
    """

    formats: tuple[NumberFormat, ...]
    read: tuple[int, ...]
    number_of: Mapping[tuple[int, ...], int]
    first: tuple[tuple[int, ...], ...]

    @staticmethod
    def of(
        choices: Sequence[Choice],
        read: tuple[int, ...],
        choice_count: int,
        format_of: Callable[[dict[str, Value]], NumberFormat],
    ) -> "OperandFormats":
        """The formats that ``format_of`` gives for all values of ``choices``, which are those read."""
        numbers: dict[NumberFormat, int] = {}
        number_of, first = {}, []
        for positions in product(*(range(len(choice.values)) for choice in choices)):
            values = {c.name: c.values[p] for c, p in zip(choices, positions, strict=True)}
            number_format = format_of(values)
            if number_format not in numbers:
                whole = dict(zip(read, positions, strict=True))
                first.append(tuple(whole.get(place, 0) for place in range(choice_count)))
            number_of[positions] = numbers.setdefault(number_format, len(numbers))
        return OperandFormats(tuple(numbers), read, number_of, tuple(first))


@dataclass(frozen=True)
class FormatSlot:
    """What a layer's formats can be.

    ``names`` is the choice among kinds of formats, ``by_operand`` are the choices of each operand, and
    ``blocks`` for each name what it gives to each operand.
    """

    name: str
    names: Choice
    by_operand: tuple[tuple[Choice, ...], ...]
    blocks: tuple[tuple[OperandFormats, ...], ...]

    @cached_property
    def choices(self) -> tuple[Choice, ...]:
        """The name of the formats, then what is chosen for each operand."""
        return (self.names, *(choice for own in self.by_operand for choice in own))

    @cached_property
    def formats(self) -> tuple[tuple[NumberFormat, ...], ...]:
        """The different formats of each operand, whatever the name."""
        columns = zip(*self.blocks, strict=True)
        return tuple(tuple(dict.fromkeys(f for own in column for f in own.formats)) for column in columns)

    @cached_property
    def numbering(self) -> Numbering:
        """How options are numbered; entries are positions in ``formats``."""
        places = [{one: place for place, one in enumerate(own)} for own in self.formats]
        return Numbering(
            tuple(
                tuple(
                    tuple(place[one] for one in own.formats) for own, place in zip(block, places, strict=True)
                )
                for block in self.blocks
            )
        )

    @cached_property
    def count(self) -> int:
        """Number of different options."""
        return self.numbering.count

    @cached_property
    def layers(self) -> tuple[str, ...]:
        """The layer, unless no option changes it."""
        return (self.name,) if any(self.fragment(option) for option in range(min(2, self.count))) else ()

    @cached_property
    def _made(self) -> dict[int, Fragment]:
        return {}

    def fragment(self, option: int) -> Fragment:
        """The part of the plan that an option gives."""
        made = self._made.get(option)
        if made is None:
            made = self._made[option] = self._fragment(option)
        return made

    def _fragment(self, option: int) -> Fragment:
        entries = self.numbering.entries(np.array([option]))[0].tolist()
        data, weight, bias = (own[entry] for own, entry in zip(self.formats, entries, strict=True))
        plan = LayerPlan(data, weight, bias)
        return () if plan == UNCHANGED else ((self.name, plan),)

    def option_of(self, positions: Sequence[int]) -> int:
        """The option that positions of the choices give."""
        block, start, places = positions[0], 1, []
        for choices, operand in zip(self.by_operand, self.blocks[block], strict=True):
            own = positions[start : start + len(choices)]
            places.append(operand.number_of[tuple(own[place] for place in operand.read)])
            start += len(choices)
        return self.numbering.number(block, places)

    def positions(self, options: Numbers) -> Numbers:
        """For options [N] the first positions [N, choices] that give them."""
        blocks, places = self.numbering.places(options)
        found = np.zeros((len(options), len(self.choices)), dtype=np.int64)
        found[:, 0] = blocks
        for block in np.unique(blocks):
            chosen, start = blocks == block, 1
            for column, operand in enumerate(self.blocks[block]):
                stop = start + len(self.by_operand[column])
                if stop > start:
                    found[chosen, start:stop] = np.array(operand.first)[places[chosen, column]]
                start = stop
        return found

    @cached_property
    def sizes(self) -> tuple[Numbers, ...]:
        """For each operand, the sizes of ``formats`` by number: fixed point costs by its bits alone."""
        found = []
        for own in self.formats:
            kinds = [one.bits if isinstance(one, FixedPoint) else one for one in own]
            different = {kind: number for number, kind in enumerate(dict.fromkeys(kinds))}
            found.append(np.array([different[kind] for kind in kinds], dtype=np.int64))
        return tuple(found)

    @cached_property
    def _example_of(self) -> dict[int, int]:
        """For each group of options with formats of the same sizes one of them."""
        found: dict[int, int] = {}
        for block, lists in enumerate(self.numbering.blocks):
            first = [
                list({int(size[entry]): place for place, entry in reversed(list(enumerate(own)))}.values())
                for own, size in zip(lists, self.sizes, strict=True)
            ]
            for places in product(*first):
                option = self.numbering.number(block, places)
                found.setdefault(int(self._code(np.array([option]))[0]), option)
        return found

    def _code(self, options: Numbers) -> Numbers:
        """The sizes of options [N] as one number each."""
        entries = self.numbering.entries(options)
        code = np.zeros(len(options), dtype=np.int64)
        for column, size in enumerate(self.sizes):
            code = code * (int(size.max()) + 1) + size[entries[:, column]]
        return code

    @cached_property
    def examples(self) -> tuple[int, ...]:
        """One option of each group that costs the same: of the same sizes, whatever the fractions."""
        return tuple(self._example_of.values())

    @cached_property
    def _group_of_code(self) -> Numbers:
        numbers = np.full(max(self._example_of) + 1, -1, dtype=np.int64)
        numbers[list(self._example_of)] = np.arange(len(self._example_of))
        return numbers

    def group_of(self, options: Numbers) -> Numbers:
        """The groups [N] of options [N]."""
        return self._group_of_code[self._code(options)]

    @property
    def record(self) -> dict[str, Any]:
        """The options in few words: for each name of formats the texts of each operand's."""
        return {
            "layer": self.name,
            "formats": [
                {
                    operand: [one.text for one in own.formats]
                    for operand, own in zip(OPERANDS, block, strict=True)
                }
                for block in self.blocks
            ],
        }
