"""From what a user may choose for which layers to a space of plans."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from narrower.errors import SettingsError
from narrower.graph.groups import Channels
from narrower.graph.network import Network
from narrower.graph.signs import unsigned_layers
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.formats.known_data import AnyValues, KnownValues
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.plan import OPERANDS
from narrower.searching.format_names import NAMED, NOT_QUANTIZED, Operand
from narrower.searching.format_slot import FormatSlot, OperandFormats
from narrower.searching.match_layers import SEED, Matches, match_layers, require_matches
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
KEYS = {"data": "data_in", "weight": "weight", "bias": "bias"}


def build_space(
    network: Network,
    settings: SpaceSettings,
    auto_fraction: AutoFraction,
    channels: Channels | None = None,
    values: KnownValues | None = None,
) -> Space:
    """Build the space of a network's plans; ``channels`` are needed where layers are resized.

    ``values`` are what calibration says of data; without them only the shape of the space matters.

    Raises:
        SettingsError: a name or pattern matches no layer, a layer cannot be quantized or resized, or there
            is nothing to choose.
    """
    chosen = _choices_by_layer(network, settings)
    if settings.is_learned:
        return _learned_space(network, chosen)
    unsigned = unsigned_data(network, settings)

    def about(layer: str, operand: str) -> Operand:
        is_signed = operand != "data" or layer not in unsigned
        kind = network.product_layers[layer][0].kind
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
    quantized = {layer: own for layer, own in chosen.items() if own.families != (NOT_QUANTIZED,)}
    given = fixed_choices(network, settings)
    if not slots and not quantized:
        raise SettingsError(f"{SEED}: {NOTHING_TO_CHOOSE[settings.kind]}")
    slots += [
        _slot(network, layer, quantized.get(layer) or given[layer], about)
        for layer in network.product_layers
        if layer in quantized or layer in given
    ]
    return Space(tuple(slots))


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
    for layer in network.product_layers:
        own = choices[matches.keys[layer]] if layer in matches.keys else fixed.default
        is_left = layer not in searched or not _has_formats(searched[layer])
        if own is not None and is_left and _has_formats(own):
            found[layer] = own
    return found


def _learned_space(network: Network, chosen: Mapping[str, LayerChoices]) -> Space:
    """Nothing is left to choose: a training proposes the plans."""
    left = [
        layer for layer in network.multiplying_layers if layer not in chosen or not chosen[layer].is_learned
    ]
    if left:
        raise SettingsError(
            f"{SEED}: one training learns the widths of all layers; not named: {', '.join(left)}"
        )
    return Space((ListedSlot(LEARNED_SLOT, (), ((),), {(): 0}),))


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
    return match_layers(network, settings.by, keys)


def _choices_by_layer(network: Network, settings: SpaceSettings) -> dict[str, LayerChoices]:
    chooses = settings.default is not None and _chooses(settings.default)
    matches = _matches(network, settings)
    if not chooses:
        require_matches(matches)
    choices = dict(settings.layers)
    found = {layer: choices[key] for layer, key in matches.keys.items()}
    if settings.default is not None:
        for layer in network.product_layers:
            found.setdefault(layer, settings.default)
    order = {layer: number for number, layer in enumerate(network.layers)}
    return dict(sorted(found.items(), key=lambda item: order.get(item[0], len(order))))


def _chooses(choices: LayerChoices) -> bool:
    return _has_formats(choices) or choices.width.wants_change


def _has_formats(choices: LayerChoices) -> bool:
    return choices.is_learned or choices.families != (NOT_QUANTIZED,)


def _slot(network: Network, layer: str, choices: LayerChoices, operand_of: OperandOf) -> FormatSlot:
    operators = network.product_layers[layer]
    has = {
        "data": True,
        "weight": any(network.weight_of(operator) for operator in operators),
        "bias": any(network.bias_of(operator) for operator in operators),
    }
    named = [_operand_choices(layer, operand, choices, is_present=has[operand]) for operand in OPERANDS]
    blocks = []
    for family in choices.families:
        operands = []
        for operand, own in zip(OPERANDS, named, strict=True):
            read = _places_read(layer, operand, family, own) if has[operand] else ()
            about = operand_of(layer, operand)
            format_of = partial(_format, layer, operand, family, about) if has[operand] else _absent
            operands.append(OperandFormats.of([own[place] for place in read], read, len(own), format_of))
        blocks.append(tuple(operands))
    return FormatSlot(
        layer, Choice(f"{layer}.name", choices.families), tuple(map(tuple, named)), tuple(blocks)
    )


def _places_read(layer: str, operand: str, family: str, named: Sequence[Choice]) -> tuple[int, ...]:
    """Where among an operand's choices those are that the formats with a name read."""
    keys = () if family == NOT_QUANTIZED else NAMED[family].keys_of(operand)
    names = [choice.name for choice in named]
    return tuple(sorted(names.index(f"{layer}.{KEYS[operand]}_{key}") for key in keys))


def _keys_read(families: Sequence[str], operand: str) -> list[str]:
    """The ends of the keys that the formats with these names read, each once."""
    named = [NAMED[family] for family in families if family != NOT_QUANTIZED]
    return list(dict.fromkeys(key for formats in named for key in formats.keys_of(operand)))


def _operand_choices(
    layer: str, operand: str, layer_choices: LayerChoices, *, is_present: bool
) -> list[Choice]:
    choices: OperandChoices = getattr(layer_choices, operand)
    keys = _keys_read(layer_choices.families, operand)
    missing = [key for key in keys if not choices.options(key, operand)]
    if missing and is_present:
        raise SettingsError(
            f"{SEED}.{layer}.config.{KEYS[operand]}_{missing[0]}: missing; expected a list such as [4, 8]"
        )
    if missing:
        return []
    return [Choice(f"{layer}.{KEYS[operand]}_{key}", choices.options(key, operand)) for key in keys]


def _format(
    layer: str, operand: str, family: str, about: Operand, values: Mapping[str, Value]
) -> NumberFormat:
    """The format that a name and options give to an operand.

    Raises:
        SettingsError: there is no such format.
    """
    where = f"{layer}.{KEYS[operand]}_"
    options = {key.removeprefix(where): value for key, value in values.items()}
    is_left = family == NOT_QUANTIZED or options.get("width") == NOT_QUANTIZED
    if is_left or (not options and operand == "bias"):
        return FLOAT32
    try:
        return NAMED[family].make(options, about)
    except SettingsError as error:
        given = ", ".join(f"{KEYS[operand]}_{key} = {value!r}" for key, value in options.items())
        raise SettingsError(f"{SEED}.{layer}.config: {given}: {error}") from None


def _absent(_values: Mapping[str, Value]) -> NumberFormat:
    """The format of an operand that a layer does not have, whatever is listed for it."""
    return FLOAT32
