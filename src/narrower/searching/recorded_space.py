"""The space of a run as its trials.db records it: plans by number, and what was chosen for which layer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrower.errors import NarrowerError, RunError
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.formats.stored_each import StoredEach
from narrower.plan.formats.text import parse_format
from narrower.plan.plan import ROUNDED, plan_from_dict
from narrower.searching.numbering import Numbering
from narrower.searching.space_record import SPACE_FACT, PlanTables, read_formats

OptionArray = NDArray[np.int64]  # [trials, slots]
LARGEST_INDEX = 2**62  # larger numbers of plans do not fit numpy's integers
ASPECTS = (*ROUNDED, "width")


@dataclass(frozen=True, slots=True)
class Feature:
    """One aspect of a layer (or of layers that always agree) that the space sets.

    ``aspect`` is data, weight, bias, output or width; ``levels`` are its different values (texts of formats,
    or multipliers) from the fewest bits or channels to the most, ``sizes`` their bits or multipliers.
    ``level_of`` gives the level of each option of the slot.
    """

    layers: tuple[str, ...]
    aspect: str
    slot: int
    levels: tuple[str | float, ...]
    sizes: tuple[float, ...]
    level_of: tuple[int, ...]

    @property
    def name(self) -> str:
        """Such as ``seq_blocks.2.weight``; of layers that always agree the first, and how many more."""
        more = f" (+{len(self.layers) - 1})" if len(self.layers) > 1 else ""
        return f"{self.layers[0]}{more}.{self.aspect}"

    @property
    def labels(self) -> tuple[str, ...]:
        """The sizes where they tell the levels apart, else the whole texts."""
        if len(set(self.sizes)) == len(self.sizes):
            return tuple(f"{size:g}" for size in self.sizes)
        return tuple(str(level) for level in self.levels)

    @property
    def is_chosen(self) -> bool:
        """Whether there was more than one level to choose from."""
        return len(self.levels) > 1


@dataclass(frozen=True)
class RecordedSpace:
    """For each slot, its options in the TOML form of plans; the last slot varies fastest.

    ``joined`` are slots that a single digit of a plan's number decides together: the operands of a layer that
    has too many combinations of formats to list, by the position of the first.
    """

    slots: tuple[tuple[PlanTables, ...], ...]
    source: str = "the run"  # what recorded it, for messages
    joined: Mapping[int, Numbering] = field(default_factory=dict)

    @cached_property
    def _digits(self) -> list[tuple[int, int, Numbering | None]]:
        """For each digit of a plan's number the slots that it decides, from one to another, and how."""
        found, start = [], 0
        while start < len(self.slots):
            numbering = self.joined.get(start)
            stop = start + (1 if numbering is None else len(numbering.blocks[0]))
            found.append((start, stop, numbering))
            start = stop
        return found

    def _count(self, start: int, numbering: Numbering | None) -> int:
        return len(self.slots[start]) if numbering is None else numbering.count

    @cached_property
    def size(self) -> int:
        """Number of different plans."""
        return prod(self._count(start, numbering) for start, _, numbering in self._digits)

    def options(self, indices: Sequence[int]) -> OptionArray:
        """The options [N, slots] of the plans with these numbers.

        Raises:
            RunError: there is no such plan.
        """
        for index in indices:
            if not 0 <= index < self.size:
                raise RunError(
                    f"{self.source}: damaged: there is no plan {index}; the space has {self.size:,}"
                )
        options = np.empty((len(indices), len(self.slots)), dtype=np.int64)
        kind = np.int64 if self.size < LARGEST_INDEX else object
        rest = np.array(indices, dtype=kind)
        for start, stop, numbering in reversed(self._digits):
            count = self._count(start, numbering)
            digits = (rest % count).astype(np.int64)
            rest = rest // count
            options[:, start:stop] = digits[:, None] if numbering is None else numbering.entries(digits)
        return options

    def plan(self, index: int) -> PlanTables:
        """The plan with a number, layer by layer in the order of the network."""
        (digits,) = self.options([index]).tolist()
        tables: PlanTables = {}
        for slot, digit in zip(self.slots, digits, strict=True):
            for layer, table in slot[digit].items():
                tables[layer] = {**tables.get(layer, {}), **table}
        return tables

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        """Everything that the space sets, in the order of the network; aspects that agree are one feature."""
        return tuple(feature for slot in range(len(self.slots)) for feature in self._slot_features(slot))

    def _slot_features(self, slot: int) -> list[Feature]:
        options = self.slots[slot]
        layers = dict.fromkeys(layer for option in options for layer in option)
        found: dict[tuple[object, ...], Feature] = {}
        for layer in layers:
            for aspect in ASPECTS:
                default: str | float = 1.0 if aspect == "width" else FLOAT32.text
                values = [option.get(layer, {}).get(aspect, default) for option in options]
                if set(values) == {default}:
                    continue
                levels = tuple(sorted(set(values), key=lambda value: (_size(value), str(value))))
                earlier = found.get((aspect, *values))
                found[(aspect, *values)] = Feature(
                    layers=(*(earlier.layers if earlier else ()), layer),
                    aspect=aspect,
                    slot=slot,
                    levels=levels,
                    sizes=tuple(_size(level) for level in levels),
                    level_of=tuple(levels.index(value) for value in values),
                )
        return list(found.values())


def recorded_space(facts: Mapping[str, object], source: Path | str = "the run") -> RecordedSpace:
    """Read the space from the facts of a store; ``source`` is its name in messages.

    Raises:
        RunError: they do not hold it.
    """
    slots = facts.get(SPACE_FACT)
    if not isinstance(slots, list) or not slots or not all(slots):
        raise RunError(
            f"{source}: does not say what its plans are; it is damaged, or another version wrote it"
        )
    try:
        space = _space(slots, str(source))
        space.features  # noqa: B018 - read now, so that a strange record shows here
        for option in (option for slot in space.slots for option in slot):
            plan_from_dict(option)
    except (NarrowerError, AttributeError, TypeError, ValueError) as error:
        raise RunError(f"{source}: the record of its space cannot be read: {error}") from error
    return space


def _space(record: Sequence[Any], source: str) -> RecordedSpace:
    slots: list[tuple[PlanTables, ...]] = []
    joined = {}
    for slot in record:
        if isinstance(slot, list):
            slots.append(tuple(slot))
        else:
            numbering, operands = read_formats(slot)
            joined[len(slots)] = numbering
            slots += operands
    return RecordedSpace(tuple(slots), source, joined)


def _size(value: str | float) -> float:
    if not isinstance(value, str):
        return float(value)
    number_format = parse_format(value)
    return number_format.mean_bits if isinstance(number_format, StoredEach) else float(number_format.bits)
