"""What may be chosen for the edges of a network: a slot for each edge, or for edges that must agree."""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import product

from narrower.errors import SettingsError
from narrower.graph.edges import Edge, Edges, edges_of
from narrower.graph.network import Network, Operator
from narrower.plan.formats.known_data import KnownEdges
from narrower.plan.plan import OUTPUT, LayerPlan
from narrower.searching.format_names import NOT_QUANTIZED, Operand
from narrower.searching.match_layers import SEED
from narrower.searching.operand_choices import format_of, operand_choices, places_read
from narrower.searching.space import Choice, Fragment, ListedSlot, Value, make_slot
from narrower.searching.space_settings import LayerChoices, SpaceSettings

IMAGE_RANK = 4


def edge_slots(
    network: Network, settings: SpaceSettings, quantized: Mapping[str, LayerChoices], known: KnownEdges
) -> dict[str, ListedSlot]:
    """A slot for each edge that is rounded, by the name of the first edge in it.

    An edge has the choices for data (``data_in_width`` and so on) of the key that names it; else of the
    layers that read it, which must be the same; else of the layer that writes it; else those by default. What
    the network returns stays float32 unless a key names it.

    Raises:
        SettingsError: layers that read an edge, or edges that must agree, have different choices.
    """
    found = edges_of(network)
    groups = found.groups if settings.agree else tuple((edge.name,) for edge in found.edges)
    by_name = {edge.name: edge for edge in found.edges}
    choices = _Choices(network, found, settings, quantized)
    slots = {}
    for group in groups:
        members = [by_name[name] for name in group]
        own = choices.of(members)
        if own is not None:
            slots[group[0]] = _slot(network, members, own, settings, known)
    return slots


def named_edges(network: Network, settings: SpaceSettings) -> dict[str, str]:
    """The edges that keys name, each with its key; keys of products are about these."""
    found: dict[str, str] = {}
    for edge in edges_of(network).edges:
        for key, _ in settings.layers:
            if edge.name not in network.rounded_layers and _is_meant(edge, key, settings.by):
                found.setdefault(edge.name, key)
    return found


def _is_meant(edge: Edge, key: str, by: str) -> bool:
    if by == "name":
        return edge.name == key or edge.name.replace(".", "_") == key
    if by == "type":
        return edge.kind == key.lower()
    try:
        return re.fullmatch(key, edge.name) is not None
    except (re.error, RecursionError, OverflowError):
        return False  # match_layers says why


class _Choices:
    def __init__(
        self, network: Network, edges: Edges, settings: SpaceSettings, quantized: Mapping[str, LayerChoices]
    ) -> None:
        self._default, self._quantized = settings.default, quantized
        self._layers = dict(settings.layers)
        self._named = named_edges(network, settings)
        self._readers: dict[str, list[str]] = {}
        for layer, operators in network.product_layers.items():
            for name in _read_by(edges, operators):
                self._readers.setdefault(name, []).append(layer)

    def of(self, members: Sequence[Edge]) -> LayerChoices | None:
        """What may be chosen for edges that agree; None where they stay as they are."""
        named = {
            edge.name: self._layers[self._named[edge.name]] for edge in members if edge.name in self._named
        }
        if named:
            return _quantized(_same(named, members))
        if any(edge.is_output for edge in members):
            return None
        readers = [layer for edge in members for layer in self._readers.get(edge.name, ())]
        for layers in (readers, [edge.name for edge in members]):
            own = {layer: self._quantized[layer] for layer in layers if layer in self._quantized}
            if own:
                return _same(own, members)
        return None if readers or self._default is None else _quantized(self._default)


def _read_by(edges: Edges, operators: Sequence[Operator]) -> list[str]:
    return [name for operator in operators for name in edges.read_by(operator)]


def _quantized(choices: LayerChoices) -> LayerChoices | None:
    return None if choices.families == (NOT_QUANTIZED,) else choices


def _same(own: Mapping[str, LayerChoices], members: Sequence[Edge]) -> LayerChoices:
    (first, choices), *others = own.items()
    for name, other in others:
        if (other.families, other.data) != (choices.families, choices.data):
            what = " and ".join(edge.name for edge in members)
            raise SettingsError(
                f"{SEED}.{name}.config: {first} and {name} are given different data_in choices, but read the "
                f"same tensor or tensors that must agree ({what}); give both the same, or "
                "search_space.setup.agree = false"
            )
    return choices


def _slot(
    network: Network,
    members: Sequence[Edge],
    choices: LayerChoices,
    settings: SpaceSettings,
    known: KnownEdges,
) -> ListedSlot:
    first = members[0].name
    is_unsigned = settings.sign == "auto" and all(edge.has_no_sign for edge in members)
    about = Operand(
        first,
        OUTPUT,
        partial(known.fraction, first),
        known,
        block_axis=1 if _is_image(network, members[0]) else -1,
        rounding=settings.rounding,
        overflow=settings.overflow,
        signed=not is_unsigned,
    )
    named = operand_choices(first, "data", choices, is_present=True)
    families = Choice(f"{first}.{OUTPUT}.name", choices.families)
    fragments: dict[tuple[int, ...], Fragment] = {}
    for place, family in enumerate(choices.families):
        read = places_read(first, "data", family, named)
        for positions in product(*(range(len(choice.values)) for choice in named)):
            values: dict[str, Value] = {named[at].name: named[at].values[positions[at]] for at in read}
            plan = LayerPlan(output=format_of(first, "data", family, about, values))
            fragments[place, *positions] = tuple((edge.name, plan) for edge in members)
    return make_slot(f"{first}.{OUTPUT}", (families, *named), fragments)


def _is_image(network: Network, edge: Edge) -> bool:
    shapes = {**dict(network.inputs), **{o.name: o.output_shape for o in network.operators}}
    return len(shapes.get(edge.writer, ())) >= IMAGE_RANK
