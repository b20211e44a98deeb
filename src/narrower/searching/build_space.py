"""From what a user may choose for which layers to a space of plans."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from narrower.errors import SettingsError
from narrower.graph.edges import edges_of
from narrower.graph.groups import Channels
from narrower.graph.network import RECURRENT_KINDS, TABLE_KINDS, Network
from narrower.graph.signs import unsigned_layers
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.formats.known_data import AnyEdges, AnyValues, KnownEdges, KnownValues
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.plan import OPERANDS, Plan
from narrower.searching.edge_slots import edge_slots, named_edges
from narrower.searching.format_names import NOT_QUANTIZED, Operand
from narrower.searching.format_slot import FormatSlot, OperandFormats
from narrower.searching.match_layers import SEED, Matches, match_layers, require_matches
from narrower.searching.operand_choices import format_of, operand_choices, places_read
from narrower.searching.space import Choice, ListedSlot, Slot, Space, Value
from narrower.searching.space_settings import LayerChoices, OperandChoices, SpaceSettings
from narrower.searching.width_slots import why_fixed, width_slots

# The fraction width with the least squared error for a layer's operand at a width.
AutoFraction = Callable[[str, str, int], int]
OperandOf = Callable[[str, str], Operand]
NOTHING_TO_CHOOSE = {
    "quantize": "no layer is quantized: every layer has name = ['NA'] or no choices at all",
    "resize": "no layer is resized: none that can change has a channel_multiplier other than 1",
    "quantize_and_resize": "no layer is quantized or resized",
}
LEARNED_SLOT = "learned"
# The axis of the output channels of a weight, where it is not the first.
CHANNEL_AXES = {"matmul": -1, "conv_transpose1d": 1, "conv_transpose2d": 1, "conv_transpose3d": 1}
FIXED = "passes.quantize"
NO_CHOICES = OperandChoices(fractions=())


def build_space(
    network: Network,
    settings: SpaceSettings,
    auto_fraction: AutoFraction,
    channels: Channels | None = None,
    values: KnownValues | None = None,
    known_edges: KnownEdges | None = None,
) -> Space:
    """Build the space of a network's plans; ``channels`` are needed where layers are resized.

    ``values`` and ``known_edges`` are what calibration says of data and edges; without them only the shape of
    the space matters.

    Raises:
        SettingsError: a name or pattern matches no layer, a layer cannot be quantized or resized, or there
            is nothing to choose.
    """
    chosen = _choices_by_layer(network, settings)
    unsigned = unsigned_data(network, settings)

    def about(layer: str, operand: str) -> Operand:
        is_signed = operand != "data" or layer not in unsigned
        kind = network.rounded_layers[layer][0].kind
        return Operand(
            layer,
            operand,
            partial(auto_fraction, layer, operand),
            values or AnyValues(),
            CHANNEL_AXES.get(kind, 0),
            _block_axis(kind, operand),
            settings.rounding,
            settings.overflow,
            is_signed,
        )

    slots: list[Slot] = []
    if channels is not None:
        is_strict = settings.by == "name" and not settings.is_lenient
        named = _matches(network, settings).keys if is_strict else ()
        slots += width_slots(channels, chosen, named, uniform=settings.uniform)
    if settings.is_learned:
        learned = _learned_space(network, chosen, about)
        if settings.resizes and not slots:
            raise SettingsError(f"{SEED}: {NOTHING_TO_CHOOSE['resize']}")
        return Space(tuple(slots)) if settings.resizes else learned
    quantized = {layer: own for layer, own in chosen.items() if own.families != (NOT_QUANTIZED,)}
    given = fixed_choices(network, settings)
    if not slots and not quantized:
        raise SettingsError(f"{SEED}: {NOTHING_TO_CHOOSE[settings.kind]}")
    of_layers = {
        layer: _slot(network, layer, quantized.get(layer) or given[layer], about, on_edges=settings.on_edges)
        for layer in network.rounded_layers
        if layer in quantized or layer in given
    }
    if settings.on_edges:
        of_edges = edge_slots(network, settings, quantized, known_edges or AnyEdges())
        return Space((*slots, *_in_order(network, of_layers, of_edges)))
    return Space((*slots, *of_layers.values()))


def _in_order(network: Network, layers: Mapping[str, Slot], edges: Mapping[str, Slot]) -> list[Slot]:
    """Each edge's slot where the edge is first written; inputs come first."""
    place = {operator.layer: number for number, operator in reversed(list(enumerate(network.operators)))}
    writers = {edge.name: edge.writer for edge in edges_of(network).edges}
    written = {operator.name: number for number, operator in enumerate(network.operators)}
    found = [(place[layer], 0, slot) for layer, slot in layers.items()]
    found += [(written.get(writers[name], -1), 1, slot) for name, slot in edges.items()]
    return [slot for _, _, slot in sorted(found, key=lambda item: item[:2])]


def _block_axis(kind: str, operand: str) -> int:
    """The axis over which a product sums; the last one of biases, and of data that are no images."""
    if operand == "data":
        return 1 if kind.startswith("conv") else -1
    if operand == "weight":
        return (
            0
            if kind == "matmul" or kind.startswith("conv_transpose")
            else 1
            if kind.startswith("conv")
            else -1
        )
    return -1


def unsigned_data(network: Network, settings: SpaceSettings) -> frozenset[str]:
    """The layers whose data have no sign in fixed point."""
    return unsigned_layers(network) if settings.sign == "auto" else frozenset()


def fixed_choices(network: Network, settings: SpaceSettings) -> dict[str, LayerChoices]:
    """The formats of the layers that the search leaves alone and that are to have some."""
    fixed = settings.fixed
    if fixed is None or settings.kind != "quantize" or settings.is_learned:
        return {}
    keys = {key: own.families != (NOT_QUANTIZED,) for key, own in fixed.layers}
    matches, choices = match_layers(network, fixed.by, keys, where=FIXED), dict(fixed.layers)
    searched = _choices_by_layer(network, settings)
    found: dict[str, LayerChoices] = {}
    for layer in network.rounded_layers:
        own = choices[matches.keys[layer]] if layer in matches.keys else fixed.default
        is_left = layer not in searched or not _has_formats(searched[layer])
        if own is not None and is_left and _has_formats(own):
            found[layer] = own
    return found


def _learned_space(network: Network, chosen: Mapping[str, LayerChoices], about: OperandOf) -> Space:
    """Nothing is left to choose: a training proposes the plans, which all have the formats of this one."""
    left = [
        layer for layer in network.multiplying_layers if layer not in chosen or not chosen[layer].is_learned
    ]
    if left:
        raise SettingsError(
            f"{SEED}: one training learns the widths of all layers; not named: {', '.join(left)}"
        )
    kept = {
        layer: _slot(network, layer, chosen[layer], about, on_edges=False).fragment(0)
        for layer in network.multiplying_layers
        if chosen[layer].families != (NOT_QUANTIZED,)
    }
    plan = Plan.of(part for parts in kept.values() for part in parts)
    return Space((ListedSlot(LEARNED_SLOT, (), (plan.layers,), {(): 0}),))


def passed_over(network: Network, settings: SpaceSettings) -> dict[str, str]:
    """The keys of a space that match no layer, and why; where none matches, building it is an error."""
    return dict(_matches(network, settings).unmatched)


def fixed_widths(channels: Channels, settings: SpaceSettings) -> dict[str, str]:
    """Layers that are named one by one for another width, which they cannot have, and why."""
    if settings.by != "name":
        return {}
    choices, keys = dict(settings.layers), _matches(channels.network, settings).keys
    reasons = {
        layer: why_fixed(channels, layer) for layer, key in keys.items() if choices[key].width.wants_change
    }
    return {layer: reason for layer, reason in reasons.items() if reason is not None}


def _matches(network: Network, settings: SpaceSettings) -> Matches:
    keys = {key: _has_formats(choices) for key, choices in settings.layers}
    matches = match_layers(network, settings.by, keys)
    if not settings.on_edges:
        return matches
    own = set(named_edges(network, settings).values())
    layers = {layer: key for layer, key in matches.keys.items() if layer in network.rounded_layers}
    return Matches(layers, {key: why for key, why in matches.unmatched.items() if key not in own})


def _choices_by_layer(network: Network, settings: SpaceSettings) -> dict[str, LayerChoices]:
    chooses = settings.default is not None and _chooses(settings.default)
    matches = _matches(network, settings)
    if not chooses and not (settings.on_edges and named_edges(network, settings)):
        require_matches(matches)
    choices = dict(settings.layers)
    found = {layer: choices[key] for layer, key in matches.keys.items()}
    if settings.default is not None:
        for layer in network.rounded_layers:
            found.setdefault(layer, settings.default)
    order = {layer: number for number, layer in enumerate(network.layers)}
    return dict(sorted(found.items(), key=lambda item: order.get(item[0], len(order))))


def _chooses(choices: LayerChoices) -> bool:
    return _has_formats(choices) or choices.width.wants_change


def _has_formats(choices: LayerChoices) -> bool:
    return choices.is_learned or choices.families != (NOT_QUANTIZED,)


def _slot(
    network: Network, layer: str, choices: LayerChoices, operand_of: OperandOf, *, on_edges: bool
) -> FormatSlot:
    operators = network.rounded_layers[layer]
    kinds = {operator.kind for operator in operators}
    has_data = not kinds <= TABLE_KINDS and (not on_edges or bool(kinds & RECURRENT_KINDS))
    if not has_data:
        choices = replace(choices, data=NO_CHOICES)
    has = {
        "data": has_data,
        "weight": any(network.weights_of(operator) for operator in operators),
        "bias": any(network.biases_of(operator) for operator in operators),
    }
    named = [operand_choices(layer, operand, choices, is_present=has[operand]) for operand in OPERANDS]
    blocks = []
    for family in choices.families:
        operands = []
        for operand, own in zip(OPERANDS, named, strict=True):
            read = places_read(layer, operand, family, own) if has[operand] else ()
            about = operand_of(layer, operand)
            make = partial(format_of, layer, operand, family, about) if has[operand] else _absent
            operands.append(OperandFormats.of([own[place] for place in read], read, len(own), make))
        blocks.append(tuple(operands))
    return FormatSlot(
        layer, Choice(f"{layer}.name", choices.families), tuple(map(tuple, named)), tuple(blocks)
    )


def _absent(_values: Mapping[str, Value]) -> NumberFormat:
    """The format of an operand that a layer does not have, whatever is listed for it."""
    return FLOAT32
