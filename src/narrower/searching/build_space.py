"""From what a user may choose for which layers to a space of plans."""

import re
from collections.abc import Callable, Iterator
from itertools import product
from math import prod

from narrower.errors import SettingsError, nearest
from narrower.formats.fixed import FixedPoint
from narrower.formats.float32 import FLOAT32
from narrower.formats.number_format import NumberFormat
from narrower.graph.groups import Channels
from narrower.graph.network import Network
from narrower.plan import OPERANDS, LayerPlan
from narrower.searching.space import Choice, Fragment, Slot, Space, Value, make_slot
from narrower.searching.space_settings import NOT_QUANTIZED, LayerChoices, OperandChoices, SpaceSettings
from narrower.searching.width_slots import width_slots

# The fraction width with the least squared error for a layer's operand at a width.
AutoFraction = Callable[[str, str, int], int]
LARGEST_SLOT = 200_000
NOTHING_TO_CHOOSE = {
    "quantize": "no layer is quantized: every layer has name = ['NA'] or no choices at all",
    "resize": "no layer is resized: none that can change has a channel_multiplier other than 1",
    "quantize_and_resize": "no layer is quantized or resized",
}
SEED = "search.search_space.seed"
KEYS = {"data": "data_in", "weight": "weight", "bias": "bias"}


def build_space(
    network: Network,
    settings: SpaceSettings,
    auto_fraction: AutoFraction,
    channels: Channels | None = None,
) -> Space:
    """Build the space of a network's plans; ``channels`` are needed where layers are resized.

    Raises:
        SettingsError: a name or pattern matches no layer, a layer cannot be quantized or resized, or there
            is nothing to choose.
    """
    chosen = _choices_by_layer(network, settings)
    slots: list[Slot] = []
    if channels is not None:
        named = [layer_name(network, key) for key, _ in settings.layers] if settings.by == "name" else []
        slots += width_slots(channels, chosen, named, uniform=settings.uniform)
    slots += [
        _slot(network, layer, chosen[layer], auto_fraction)
        for layer in network.product_layers
        if layer in chosen and chosen[layer].families != (NOT_QUANTIZED,)
    ]
    if not slots:
        raise SettingsError(f"{SEED}: {NOTHING_TO_CHOOSE[settings.kind]}")
    return Space(tuple(slots))


def layer_name(network: Network, name: str) -> str:
    """The layer that a name in either spelling means, ``seq_blocks.2`` or ``seq_blocks_2``.

    Raises:
        SettingsError: no such layer, or the name could mean two.
    """
    known = {**dict.fromkeys(network.layers), **{path: None for path, _ in network.module_types if path}}
    if name in known:
        return name
    matches = [layer for layer in known if layer.replace(".", "_") == name.replace(".", "_")]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise SettingsError(f"{SEED}.{name}: could mean {' or '.join(matches)}; write it with dots")
    layers = list(network.product_layers)
    raise SettingsError(
        f"{SEED}.{name}: {network.name} has no layer {name!r}{nearest(name, [*layers, *known])}; "
        f"layers that can be quantized: {', '.join(layers)}"
    )


def _choices_by_layer(network: Network, settings: SpaceSettings) -> dict[str, LayerChoices]:
    assign = {"name": _by_name, "type": _by_type, "regex": _by_regex}[settings.by]
    found: dict[str, LayerChoices] = {}
    for key, choices in settings.layers:
        for layer in assign(network, key):
            if layer in found and settings.by == "name":
                raise SettingsError(f"{SEED}.{key}: layer {layer} is named twice")
            found.setdefault(layer, choices)
    if settings.default is not None:
        for layer in network.product_layers:
            found.setdefault(layer, settings.default)
    for layer, choices in found.items():
        if layer not in network.product_layers and choices.families != (NOT_QUANTIZED,):
            raise SettingsError(
                f"{SEED}.{layer}: {layer} has no operands to quantize; layers that have: "
                f"{', '.join(network.product_layers)}"
            )
    order = {layer: number for number, layer in enumerate(network.layers)}
    return dict(sorted(found.items(), key=lambda item: order.get(item[0], len(order))))


def _by_name(network: Network, key: str) -> Iterator[str]:
    yield layer_name(network, key)


def _by_type(network: Network, key: str) -> Iterator[str]:
    kinds = {layer: operators[0].kind for layer, operators in network.product_layers.items()}
    matches = [layer for layer, kind in kinds.items() if kind == key.lower()]
    if not matches:
        present = sorted(set(kinds.values()))
        raise SettingsError(
            f"{SEED}.{key}: {network.name} has no layer of type {key!r}{nearest(key, present)}; "
            f"its types: {', '.join(present)}"
        )
    yield from matches


def _by_regex(network: Network, key: str) -> Iterator[str]:
    try:
        pattern = re.compile(key)
    except re.error as error:
        raise SettingsError(f"{SEED}.{key}: not a regular expression: {error}") from None
    matches = [layer for layer in network.product_layers if pattern.fullmatch(layer)]
    if not matches:
        raise SettingsError(
            f"{SEED}.{key}: the pattern matches no layer that can be quantized; "
            f"there are: {', '.join(network.product_layers)}"
        )
    yield from matches


def _slot(network: Network, layer: str, choices: LayerChoices, auto_fraction: AutoFraction) -> Slot:
    operators = network.product_layers[layer]
    has = {
        "data": True,
        "weight": any(network.weight_of(operator) for operator in operators),
        "bias": any(network.bias_of(operator) for operator in operators),
    }
    named: list[Choice] = [Choice(f"{layer}.name", choices.families)]
    if choices.families != (NOT_QUANTIZED,):
        for operand in OPERANDS:
            named += _operand_choices(layer, operand, getattr(choices, operand), has[operand])
    combinations = prod(len(choice.values) for choice in named)
    if combinations > LARGEST_SLOT:
        raise SettingsError(
            f"{SEED}.{layer}: {combinations:,} combinations for one layer, at most {LARGEST_SLOT:,}"
        )
    fragments: dict[tuple[int, ...], Fragment] = {}
    for positions in product(*(range(len(choice.values)) for choice in named)):
        values = {c.name: c.values[p] for c, p in zip(named, positions, strict=True)}
        if values[f"{layer}.name"] == NOT_QUANTIZED:
            fragments[positions] = ()
            continue
        data, weight, bias = (
            _format(layer, operand, values, auto_fraction) if has[operand] else FLOAT32
            for operand in OPERANDS
        )
        fragments[positions] = ((layer, LayerPlan(data, weight, bias)),)
    return make_slot(layer, named, fragments)


def _operand_choices(layer: str, operand: str, choices: OperandChoices, is_present: bool) -> list[Choice]:
    key = KEYS[operand]
    if not choices.widths:
        if not is_present:
            return []
        raise SettingsError(f"{SEED}.{layer}.config.{key}_width: missing; expected a list such as [4, 8]")
    return [
        Choice(f"{layer}.{key}_width", choices.widths),
        Choice(f"{layer}.{key}_frac_width", choices.fractions),
    ]


def _format(layer: str, operand: str, values: dict[str, Value], auto_fraction: AutoFraction) -> NumberFormat:
    key = f"{layer}.{KEYS[operand]}"
    width, fraction = values.get(f"{key}_width", NOT_QUANTIZED), values.get(f"{key}_frac_width", "NA")
    if not isinstance(width, int):
        return FLOAT32
    if fraction == "auto":
        fraction = auto_fraction(layer, operand, width)
    return FixedPoint(width, fraction if isinstance(fraction, int) else width // 2)
