"""From what a user may choose for which layers to a space of plans."""

from collections.abc import Callable
from itertools import product
from math import prod

from narrower.errors import SettingsError
from narrower.formats.fixed import FixedPoint
from narrower.formats.float32 import FLOAT32
from narrower.formats.number_format import NumberFormat
from narrower.graph.groups import Channels
from narrower.graph.network import Network
from narrower.plan import OPERANDS, LayerPlan
from narrower.searching.match_layers import SEED, Matches, match_layers, require_matches
from narrower.searching.space import Choice, Fragment, Slot, Space, Value, make_slot
from narrower.searching.space_settings import NOT_QUANTIZED, LayerChoices, OperandChoices, SpaceSettings
from narrower.searching.width_slots import why_fixed, width_slots

# The fraction width with the least squared error for a layer's operand at a width.
AutoFraction = Callable[[str, str, int], int]
LARGEST_SLOT = 200_000
NOTHING_TO_CHOOSE = {
    "quantize": "no layer is quantized: every layer has name = ['NA'] or no choices at all",
    "resize": "no layer is resized: none that can change has a channel_multiplier other than 1",
    "quantize_and_resize": "no layer is quantized or resized",
}
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
        is_strict = settings.by == "name" and not settings.is_lenient
        named = _matches(network, settings).keys if is_strict else ()
        slots += width_slots(channels, chosen, named, uniform=settings.uniform)
    slots += [
        _slot(network, layer, chosen[layer], auto_fraction, settings.rounding)
        for layer in network.product_layers
        if layer in chosen and chosen[layer].families != (NOT_QUANTIZED,)
    ]
    if not slots:
        raise SettingsError(f"{SEED}: {NOTHING_TO_CHOOSE[settings.kind]}")
    return Space(tuple(slots))


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
    keys = {key: choices.families != (NOT_QUANTIZED,) for key, choices in settings.layers}
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
    return choices.families != (NOT_QUANTIZED,) or choices.width.wants_change


def _slot(
    network: Network, layer: str, choices: LayerChoices, auto_fraction: AutoFraction, rounding: str
) -> Slot:
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
            _format(layer, operand, values, auto_fraction, rounding) if has[operand] else FLOAT32
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


def _format(
    layer: str, operand: str, values: dict[str, Value], auto_fraction: AutoFraction, rounding: str
) -> NumberFormat:
    key = f"{layer}.{KEYS[operand]}"
    width, fraction = values.get(f"{key}_width", NOT_QUANTIZED), values.get(f"{key}_frac_width", "NA")
    if not isinstance(width, int):
        return FLOAT32
    if fraction == "auto":
        fraction = auto_fraction(layer, operand, width)
    return FixedPoint(width, fraction if isinstance(fraction, int) else width // 2, rounding=rounding)
