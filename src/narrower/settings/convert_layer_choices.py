"""What one table of a search space offers its layers: formats, widths, or what a training chooses."""

from collections.abc import Sequence

from narrower.errors import Mistakes
from narrower.searching.format_names import NAMED, NOT_QUANTIZED, as_read
from narrower.searching.space_settings import (
    FLOAT_OPERAND,
    Kind,
    LayerChoices,
    OperandChoices,
    WidthChoices,
)
from narrower.settings.format_checks import FAMILIES, KINDS_OF_LAYERS, SCOPES
from narrower.settings.layer_table import LayerConfig
from narrower.settings.table import given_keys

# What "name" may hold in each kind of space.
_NAMES = {
    "quantize": tuple(FAMILIES),
    "resize": (*SCOPES, *KINDS_OF_LAYERS, "NA"),
    "quantize_and_resize": tuple(FAMILIES),
}
_STAY = ("input_only", "relu", "NA")  # layers with these names have no width of their own to choose
_OPERANDS = ("data_in", "weight", "bias")  # as keys begin
_FORMAT_KEYS = tuple(key for key in LayerConfig.model_fields if key.startswith(_OPERANDS))
_LEARNED_KEYS = ("granularity", "max_width", "allowed")
_LEARNED_WITH = {"data_in": "data", "weight": "weight", "bias": "weight"}  # operands, by what learn says
_WIDTH_KEYS = ("channel_multiplier", "parent_block_name", "in_features", "out_features")


def layer_choices(where: str, config: LayerConfig, kind: Kind, *, is_strict: bool) -> LayerChoices:
    """What a table at ``where`` of the file lets be chosen.

    Raises:
        SettingsError: beginning with the keys that contradict each other, or mean nothing.
    """
    mistakes = Mistakes()
    if config.learn is not None:
        return _learned_choices(where, config, kind)
    mistakes.found += [
        f"{where}.{key}: means nothing without learn = ['weight', 'data']"
        for key in given_keys(config)
        if key in _LEARNED_KEYS
    ]
    names = config.name or (("output_only",) if kind == "resize" else ())
    if not names:
        mistakes.found.append(f"{where}.name: missing; allowed: ['integer'], ['NA'] or both")
    for name in names:
        if name not in _NAMES[kind]:
            mistakes.found.append(
                f"{where}.name: found {name!r}; allowed in this kind of space: {', '.join(_NAMES[kind])}"
            )
    for key in given_keys(config):
        if is_strict and is_foreign(key, kind):
            mistakes.found.append(
                f"{where}.{key}: means nothing in this kind of space; search_space.name = "
                "'quantize_and_resize' searches widths and number formats"
            )
        if key.endswith("frac_width") and kind == "quantize_and_resize" and "auto" in getattr(config, key):
            mistakes.found.append(
                f"{where}.{key}: found 'auto'; resized candidates have weights of their own, and fractions "
                "that suit one do not suit the next; allowed: whole numbers and 'NA' (half the width)"
            )
    families = _families(config, names)
    seeing = [name for name in families if _sees_data(name)]
    if kind == "quantize_and_resize" and seeing:
        mistakes.found.append(
            f"{where}.name: found {seeing[0]!r}, whose scales or fractions follow from the values of one "
            "network; resized candidates have values of their own"
        )
    if is_strict and kind != "resize":
        mistakes.found += [
            f"{where}.{key}: means nothing for name = {list(names)}; read by {_readers(key)}"
            for key in _unread(config)
        ]
    if config.channel_multiplier and config.out_features:
        mistakes.found.append(f"{where}.out_features: channel_multiplier says the widths as well; give one")
    mistakes.check()
    return LayerChoices(
        families,
        _operand_choices(config, "data_in"),
        _operand_choices(config, "weight"),
        _operand_choices(config, "bias"),
        _width_choices(config, names, kind),
    )


def _learned_choices(where: str, config: LayerConfig, kind: Kind) -> LayerChoices:
    """Of a layer whose widths a training chooses.

    Raises:
        SettingsError: beginning with the keys that contradict that.
    """
    mistakes = Mistakes()
    learned, resized = tuple(config.learn or ()), kind == "quantize_and_resize"
    if kind == "resize" or (resized and set(learned) != {"weight", "data"}):
        mistakes.found.append(
            f"{where}.learn: found {list(learned)}, which means nothing in this kind of space; allowed: "
            "search_space.name = 'quantize', or learn = ['weight', 'data'] with 'quantize_and_resize'"
        )
    others = [operand for operand, group in _LEARNED_WITH.items() if group not in learned]
    kept = {operand: [f"{operand}_width", f"{operand}_frac_width"] for operand in others}
    widths = ("channel_multiplier", "out_features") if resized else ()
    allowed = [*_LEARNED_KEYS, *(key for keys in kept.values() for key in keys), *widths]
    mistakes.found += [
        f"{where}.{key}: means nothing beside learn = {list(learned)}; allowed with it: {', '.join(allowed)}"
        for key in given_keys(config)
        if key not in ("name", "learn", *allowed)
    ]
    mistakes.found += [
        f"{where}.{key}: found {len(getattr(config, key))} of them; what is not learned has one format"
        for keys in kept.values()
        for key in keys
        if len(getattr(config, key) or (0,)) > 1
    ]
    mistakes.check()
    if not any(getattr(config, f"{operand}_width") for operand in kept):
        return LayerChoices(width=_width_choices(config, (), kind), learned=learned)
    each = {
        operand: _operand_choices(config, operand)
        if operand in kept and getattr(config, f"{operand}_width")
        else FLOAT_OPERAND
        for operand in _LEARNED_WITH
    }
    return LayerChoices(("fixed",), each["data_in"], each["weight"], each["bias"], learned=learned)


def is_foreign(key: str, kind: Kind) -> bool:
    """Whether a key means nothing in this kind of space."""
    return (kind == "quantize" and key in _WIDTH_KEYS) or (kind == "resize" and key in _FORMAT_KEYS)


def _families(config: LayerConfig, names: Sequence[str]) -> tuple[str, ...]:
    """The names of formats that are read; what fixed point is depends on what is given for its weights."""
    families = [FAMILIES.get(name, NOT_QUANTIZED) for name in names]
    return as_read(families, zeros=config.weight_sparsity is not None, parts=config.weight_per is not None)


def _sees_data(family: str) -> bool:
    return family != NOT_QUANTIZED and NAMED[family].sees_data


def _unread(config: LayerConfig) -> list[str]:
    """Keys that none of the formats reads."""
    families = _families(config, config.name or ())
    if set(families) <= {NOT_QUANTIZED}:
        return []
    named = [NAMED[family] for family in families if family != NOT_QUANTIZED]
    allowed = {f"{o}_{key}" for formats in named for o in _OPERANDS for key in formats.keys_of(o)}
    return [key for key in given_keys(config) if key in _FORMAT_KEYS and key not in allowed]


def _readers(key: str) -> str:
    """The names of formats that read a key."""
    found = [
        n
        for n, formats in NAMED.items()
        for o in _OPERANDS
        if key in {f"{o}_{k}" for k in formats.keys_of(o)}
    ]
    return ", ".join(dict.fromkeys(found))


def _operand_choices(config: LayerConfig, operand: str) -> OperandChoices:
    """The options of one operand."""
    start = f"{operand}_"
    options = {
        key.removeprefix(start): getattr(config, key) or () for key in _FORMAT_KEYS if key.startswith(start)
    }
    return OperandChoices(options.pop("width"), options.pop("frac_width"), tuple(options.items()))


def _width_choices(config: LayerConfig, names: Sequence[str], kind: Kind) -> WidthChoices:
    """Widths of a layer's outputs; a layer that is resized at its inputs only has none of its own."""
    if kind == "quantize":
        return WidthChoices()
    parents = tuple(name for name in config.parent_block_name or () if name != "NA")
    stays = [name for name in names if name in _STAY]
    own, channels = config.channel_multiplier or (), config.out_features or ()
    if not stays or kind != "resize" or not (own or channels):
        return WidthChoices(own, parents, channels)
    if len(stays) == len(names):
        return WidthChoices((), parents)
    return WidthChoices(tuple(dict.fromkeys((1.0, *own))), parents, channels)
