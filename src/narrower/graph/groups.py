"""Groups of channels as values: what other widths of a group leave of each parameter."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import gcd, prod
from typing import Any

from narrower.errors import ModelError, SettingsError, unknown_name
from narrower.graph.channels.dimensions import Dimension, flat, is_labelled, size_of
from narrower.graph.channels.labelling import BATCH, Kept, Labelling
from narrower.graph.folded_network import Folding
from narrower.graph.network import BatchSize, Network, Shape
from narrower.graph.own_sizes import OwnSize

Copies = tuple[int, ...]  # for each new unit, the old one that it comes from


@dataclass(frozen=True, slots=True)
class Group:
    """Units of channels that change together.

    ``layers`` compute them, ``dimensions`` are all (parameter, dimension) that hold them. ``width`` is the
    number of units; a unit is ``unit`` channels of the layers (more than one where heads move as a whole).
    ``families`` are the sizes of parts that can only change in proportion (a sum with a concatenation).
    ``reasons`` say why the group cannot change; it can where there are none. ``notes`` say what else happens
    to the channels: a norm or a mean over them.
    """

    name: str
    layers: tuple[str, ...]
    width: int
    unit: int
    families: tuple[int, ...]
    dimensions: tuple[tuple[str, int], ...]
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def can_change(self) -> bool:
        """Whether nothing holds its width."""
        return not self.reasons


@dataclass(frozen=True, slots=True)
class _Sweep:
    """Positions of a dimension in which every unit of a family comes once, ``block`` positions each."""

    start: int
    family: int
    block: int


@dataclass(frozen=True)
class Channels:
    """The groups of a model, and what each new width makes of every parameter."""

    groups: tuple[Group, ...]
    network: Network
    _labelling: Labelling
    _places: Mapping[int, tuple[int, int]]  # of a root: its family, and its number there
    _families: tuple[tuple[int, int], ...]  # of a family: its group, and its number of units
    _first_names: Mapping[str, str]
    folding: Folding | None = None  # of the traced program
    own_sizes: tuple[OwnSize, ...] = ()  # what modules of the user's classes keep of the widths

    def group_of(self, layer: str) -> Group:
        """The group of the channels that a layer computes.

        Raises:
            UnknownNameError: there is no layer of that name.
            SettingsError: it computes no channels.
        """
        return self._by_layer[self._spelled(layer)]

    def channels_of(self, layer: str) -> int:
        """How many channels a layer computes."""
        name = self._spelled(layer)
        parameter, position = next(
            source
            for source in self._labelling.sources
            if layer_that_computes(source[0]) == name and source in self._by_layer[name].dimensions
        )
        return size_of(self._labelling.parameters[parameter][position]) // repeats(parameter, self._labelling)

    def _spelled(self, layer: str) -> str:
        """The name of a layer that is given with underscores in place of dots."""
        spelled = {name.replace(".", "_"): name for name in self._by_layer}
        if layer in self._by_layer:
            return layer
        if layer in spelled:
            return spelled[layer]
        for path, kind in self.network.module_types:
            if layer in (path, path.replace(".", "_")):
                raise SettingsError(
                    f"{layer}: a {kind} has the channels of the layer before it, and none of its own; layers "
                    f"that have: {', '.join(self._by_layer)}"
                )
        raise unknown_name("layer", layer, self._by_layer)

    def find_group(self, layer: str) -> Group | None:
        """The group of the channels that a layer computes; None where it computes none."""
        return self._by_layer.get(layer)

    @cached_property
    def _by_layer(self) -> dict[str, Group]:
        found: dict[str, Group] = {}
        for group in self.groups:
            for layer in group.layers:
                if layer not in found or group.can_change:  # an embedding has a group of entries, too
                    found[layer] = group
        return found

    @property
    def cuts(self) -> Kept:
        """Views that cut a row of channels, and after which position: which part grows is a guess."""
        return frozenset(self._labelling.cuts)

    def joined(self, several: Sequence[Group]) -> "Channels":
        """The same channels with several groups as one: they change in proportion only."""
        first = several[0]
        families = tuple(size for group in several for size in group.families)
        width = gcd(*families)
        whole = replace(
            first,
            layers=tuple(dict.fromkeys(layer for group in several for layer in group.layers)),
            width=width,
            unit=self.channels_of(first.name) // width,
            families=families,
            dimensions=tuple(dict.fromkeys(held for group in several for held in group.dimensions)),
            notes=tuple(dict.fromkeys(note for group in several for note in group.notes)),
        )
        groups = tuple(
            whole if group == first else group for group in self.groups if group not in several[1:]
        )
        place = {
            number: groups.index(whole if group in several else group)
            for number, group in enumerate(self.groups)
        }
        owners = [(place[owner], size) for owner, size in self._families]
        numbers = [number for group in several for number in self.families_of(group)]
        assert numbers == sorted(numbers)  # families_of lists them in this order
        return replace(self, groups=groups, _families=tuple(owners))

    def new_width(self, group: Group, multiplier: float) -> int:
        """The number of units at a multiplier.

        Raises:
            SettingsError: the group cannot change, or there is no such whole number.
        """
        if multiplier == 1:
            return group.width
        if group.reasons:
            raise SettingsError(f"{group.name}: its width cannot change: {group.reasons[0]}")
        size = gcd(*group.families)
        exact = size * multiplier
        if exact != round(exact) or round(exact) < 1:
            what = f"{size} channels" if group.unit == 1 else f"{size} units of {group.unit} channels"
            if len(group.families) > 1:
                parts = ", ".join(map(str, group.families))
                what = f"it has {group.width} in parts of {parts}; what divides each of them, {what},"
            raise SettingsError(
                f"{group.name}: {what} times {multiplier:g} is {exact:g}; allowed: what gives a whole "
                "number from 1 up"
            )
        return sum(round(size * multiplier) for size in group.families)

    def families_of(self, group: Group) -> tuple[int, ...]:
        """The numbers of a group's families."""
        index = self.groups.index(group)
        return tuple(number for number, (owner, _) in enumerate(self._families) if owner == index)

    def units_in(self, family: int) -> int:
        """The number of units of a family."""
        return self._families[family][1]

    def all_units(self) -> list[tuple[int, int]]:
        """Every unit: its family and its number there."""
        return list(self._places.values())

    def first_name(self, name: str) -> str:
        """The first of a parameter's names, where it has several."""
        return self._first_names.get(name, name)

    @cached_property
    def sources(self) -> frozenset[tuple[str, int]]:
        """The dimensions of parameters in which channels begin."""
        return frozenset(self._labelling.sources)

    def holds(self, parameter: str) -> bool:
        """Whether it is known which channels a parameter holds."""
        return parameter in self._labelling.parameters

    def is_source(self, parameter: str, position: int) -> bool:
        """Whether channels begin in a dimension of a parameter."""
        return (parameter, position) in self.sources

    def is_consumer(self, parameter: str, position: int) -> bool:
        """Whether a dimension of a parameter is summed over."""
        return (parameter, position) in self._labelling.consumed

    def units(self, parameter: str, position: int) -> list[tuple[int, int]]:
        """For each position of a parameter's dimension its family and unit; (-1, -1) where it has none."""
        dimension = self._labelling.parameters[parameter][position]
        return self._units(dimension)

    def indices(self, parameter: str, position: int, copies: Mapping[int, Copies]) -> list[int] | None:
        """The old positions that make the new dimension of a parameter; None where it stays.

        ``copies`` are those of the families that change.
        """
        families = self._families_in.get((parameter, position), frozenset())
        if families.isdisjoint(copies):
            return None
        return self._indices(self._labelling.parameters[parameter][position], copies)

    @cached_property
    def _families_in(self) -> dict[tuple[str, int], frozenset[int]]:
        """The families of each dimension of each parameter."""
        return {
            (name, position): frozenset(family for family, _ in self._units(dimension))
            for name, dimensions in self._labelling.parameters.items()
            for position, dimension in enumerate(dimensions)
            if is_labelled(dimension)
        }

    def new_shape(self, name: str, shape: Shape, copies: Mapping[int, Copies]) -> Shape:
        """The shape of what an operator computes, with copies of units for those of families."""
        value = self._labelling.values.get(name)
        if not value or not isinstance(value[0], tuple):
            return shape
        dimensions: Any = value
        if value[0] and isinstance(value[0][0], tuple):
            dimensions = value[0]  # the first of several tensors
        if len(dimensions) != len(shape):
            return shape
        sizes: list[int | BatchSize] = []
        for dimension, old in zip(dimensions, shape, strict=True):
            size = prod(
                factor.size if factor.labels is None else len(self._indices((factor,), copies))
                for factor in dimension
            )
            sizes.append(BatchSize(size // BATCH) if isinstance(old, BatchSize) else size)
        return tuple(sizes)

    def _units(self, dimension: Dimension) -> list[tuple[int, int]]:
        if not is_labelled(dimension):
            return [(-1, -1)] * size_of(dimension)
        roots = self._labelling.merger.roots(flat(dimension))
        return [self._places.get(root, (-1, -1)) for root in roots]

    def _indices(self, dimension: Dimension, copies: Mapping[int, Copies]) -> list[int]:
        units = self._units(dimension)
        found: list[int] = []
        position = 0
        while position < len(units):
            family, _ = units[position]
            if family not in copies:
                found.append(position)
                position += 1
                continue
            sweep = self._sweep(units, position, family)
            for unit in copies[family]:
                start = sweep.start + unit * sweep.block
                found.extend(range(start, start + sweep.block))
            position += sweep.block * self._families[family][1]
        return found

    def _sweep(self, units: Sequence[tuple[int, int]], start: int, family: int) -> _Sweep:
        count = self._families[family][1]
        block = 1
        while start + block < len(units) and units[start + block] == units[start]:
            block += 1
        expected = [(family, unit) for unit in range(count) for _ in range(block)]
        if list(units[start : start + block * count]) != expected:
            raise ModelError("channels come in another order than they are computed")
        return _Sweep(start, family, block)


def layer_that_computes(parameter: str) -> str:
    """The layer whose parameter it is; of one that is nobody's weight or bias, its own name."""
    if ".parametrizations." in parameter:
        return parameter.partition(".parametrizations.")[0]
    path, _, name = parameter.rpartition(".")
    return path if path and _OF_LAYERS.fullmatch(name) else parameter


_OF_LAYERS = re.compile(r"(in_proj_)?(weight|bias)|(weight|bias)_[ih]h(_l\d+(_reverse)?)?")


def repeats(parameter: str, labelling: Labelling) -> int:
    """How many times a unit comes in the rows of a parameter: query, key and value may be one, and gates."""
    return (
        3 if parameter.endswith(("in_proj_weight", "in_proj_bias")) else labelling.repeats.get(parameter, 1)
    )
