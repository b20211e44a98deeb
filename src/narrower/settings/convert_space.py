"""From the settings file's search space to what may be chosen for which layers."""

from collections.abc import Mapping, Sequence

from narrower.errors import Mistakes
from narrower.plan.formats.calibration import CalibrationSettings
from narrower.searching.format_names import NAMED, NOT_QUANTIZED, with_sparsity
from narrower.searching.match_layers import SEED
from narrower.searching.space_settings import (
    FLOAT_OPERAND,
    Kind,
    LayerChoices,
    OperandChoices,
    SpaceSettings,
    WidthChoices,
)
from narrower.settings.format_checks import FAMILIES, KINDS_OF_LAYERS, SCOPES
from narrower.settings.layer_table import LayerConfig
from narrower.settings.schema import EDGES, SPACE_KINDS, RunSettings
from narrower.settings.table import given_keys

DEFAULT = "default"
# What "name" may hold in each kind of space.
_NAMES = {
    "quantize": tuple(FAMILIES),
    "resize": (*SCOPES, *KINDS_OF_LAYERS, "NA"),
    "quantize_and_resize": tuple(FAMILIES),
}
_STAY = ("input_only", "relu", "NA")  # layers with these names have no width of their own to choose
SETUP_OF_FORMATS = (
    *("rounding", "overflow", "sign", "calibration", "percentile", "calibration_samples"),
    *("quantize", "agree", "adjust"),
)
_OPERANDS = ("data_in", "weight", "bias")  # as keys begin
_FORMAT_KEYS = tuple(key for key in LayerConfig.model_fields if key.startswith(_OPERANDS))
_LEARNED_KEYS = ("granularity", "max_width", "allowed")
_LEARNED_WITH = {"data_in": "data", "weight": "weight", "bias": "weight"}  # operands, by what learn says
_WIDTH_KEYS = ("channel_multiplier", "parent_block_name", "in_features", "out_features")


def space_settings(settings: RunSettings) -> SpaceSettings:
    """What may be chosen for which layers.

    Raises:
        SettingsError: beginning with the keys that mean nothing in this kind of space.
    """
    space, mistakes = settings.search.search_space, Mistakes()
    kind = SPACE_KINDS[space.name]
    if space.setup.uniform and kind == "quantize":
        mistakes.found.append(
            "search.search_space.setup.uniform: found true; it is for spaces of widths, "
            f"not for {space.name!r}"
        )
    if space.setup.batch_norm == "fold" and kind != "quantize":
        mistakes.found.append(
            "search.search_space.setup.batch_norm: found 'fold'; where widths are searched, candidates keep "
            "their batch norms; allowed: separate"
        )
    for key in SETUP_OF_FORMATS if kind == "resize" else ():
        if key in given_keys(space.setup):
            mistakes.found.append(
                f"search.search_space.setup.{key}: found {getattr(space.setup, key)!r}; no layer is "
                f"quantized in {space.name!r}"
            )
    if "percentile" in given_keys(space.setup) and space.setup.calibration != "percentile":
        mistakes.found.append(
            "search.search_space.setup.percentile: means nothing without calibration = 'percentile'"
        )
    mistakes.found += _edge_mistakes(settings, kind)
    layers: dict[str, LayerChoices] = {}
    for key, seed in space.seed.items():
        with mistakes.about():
            layers[key] = layer_choices(
                f"{SEED}.{key}.config", seed.config, kind, is_strict=not _is_of_peer(settings)
            )
    _check_together(layers, mistakes)
    mistakes.check()
    is_learned = any(choices.is_learned for choices in layers.values())
    default = layers.pop(DEFAULT, None)
    return SpaceSettings(
        space.setup.by,  # type: ignore[arg-type]
        tuple(layers.items()),
        default,
        kind,
        space.setup.uniform,
        (is_learned and kind == "quantize") or space.setup.batch_norm == "fold",
        _is_of_peer(settings),
        space.setup.rounding or "half_even",
        space.setup.overflow,
        space.setup.sign,  # type: ignore[arg-type]
        CalibrationSettings(space.setup.calibration, space.setup.percentile, space.setup.calibration_samples),
        on_edges=space.setup.quantize == EDGES,
        agree=space.setup.agree,
    )


def _edge_mistakes(settings: RunSettings, kind: Kind) -> list[str]:
    """What does not go together with rounding tensors where they are written."""
    space, setup = settings.search.search_space, settings.search.search_space.setup
    if setup.quantize != EDGES:
        return (
            ["search.search_space.setup.agree: means nothing without quantize = 'edges'"]
            if "agree" in given_keys(setup)
            else []
        )
    where = "search.search_space.setup.quantize: found 'edges'"
    found = []
    if kind == "quantize_and_resize":
        found.append(f"{where}; where widths are searched, operands are rounded; allowed: 'operands'")
    if any(seed.config.learn is not None for seed in space.seed.values()):
        found.append(f"{where}; widths are learned of operands; allowed: 'operands'")
    strategy = settings.search.strategy
    if not strategy.eval_mode or strategy.training is not None:
        found.append(
            f"{where}; plans are trained with operands rounded; allowed: eval_mode = true, no training"
        )
    if settings.passes is not None and settings.passes.quantize is not None:
        found.append(f"{where}; passes.quantize gives formats to operands; allowed with it: 'operands'")
    return found


def space_notes(settings: RunSettings) -> tuple[str, ...]:
    """What of the space's settings was passed over."""
    space = settings.search.search_space
    kind = SPACE_KINDS[space.name]
    foreign = [
        f"{SEED}.{key}.config.{name}"
        for key, seed in space.seed.items()
        for name in given_keys(seed.config)
        if _is_foreign(name, kind)
    ]
    inputs = [
        f"{SEED}.{key}.config.in_features" for key, seed in space.seed.items() if seed.config.in_features
    ]
    notes = []
    if foreign:
        notes.append(f"without meaning in this kind of space and passed over: {', '.join(foreign)}")
    if inputs and kind != "quantize":
        notes.append(
            "passed over, since the inputs of a layer follow the outputs that it reads: " + ", ".join(inputs)
        )
    return tuple(notes)


def seed_keys(settings: RunSettings) -> tuple[str, Mapping[str, bool]]:
    """How layers are named, and which are, with whether they must have operands to quantize."""
    space = settings.search.search_space
    is_quantized = SPACE_KINDS[space.name] != "resize"
    keys = {
        key: is_quantized and (seed.config.name != ("NA",) or seed.config.learn is not None)
        for key, seed in space.seed.items()
        if key != DEFAULT
    }
    return space.setup.by, keys


def learned_configs(settings: RunSettings) -> dict[str, LayerConfig]:
    """What is said of the layers whose widths a training chooses, by key."""
    seeds = settings.search.search_space.seed
    return {key: seed.config for key, seed in seeds.items() if seed.config.learn is not None}


def _check_together(layers: Mapping[str, LayerChoices], mistakes: Mistakes) -> None:
    """A training learns all layers at once, so that a search proposes none beside it."""
    learned = [key for key, choices in layers.items() if choices.is_learned]
    for key, choices in layers.items():
        if learned and not choices.is_learned and choices.families != ("NA",):
            mistakes.found.append(
                f"{SEED}.{key}.config: its formats are searched, and those of {', '.join(learned)} are "
                "learned; one training learns all layers; allowed: learn = ['weight', 'data'] for each"
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


def _is_of_peer(settings: RunSettings) -> bool:
    """Whether the space is named as in MASE/chop, where a key that means nothing is passed over."""
    return "/" in settings.search.search_space.name


def _is_foreign(key: str, kind: Kind) -> bool:
    return (kind == "quantize" and key in _WIDTH_KEYS) or (kind == "resize" and key in _FORMAT_KEYS)


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
        if is_strict and _is_foreign(key, kind):
            mistakes.found.append(
                f"{where}.{key}: means nothing in this kind of space; search_space.name = "
                "'quantize_and_resize' searches widths and number formats"
            )
        if key.endswith("frac_width") and kind == "quantize_and_resize" and "auto" in getattr(config, key):
            mistakes.found.append(
                f"{where}.{key}: found 'auto'; resized candidates have weights of their own, and fractions "
                "that suit one do not suit the next; allowed: whole numbers and 'NA' (half the width)"
            )
    seeing = [name for name in names if name in FAMILIES and _sees_data(FAMILIES[name])]
    if kind == "quantize_and_resize" and seeing:
        mistakes.found.append(
            f"{where}.name: found {seeing[0]!r}, whose scales of data follow from the values of one network; "
            "resized candidates have values of their own"
        )
    if is_strict and kind != "resize":
        mistakes.found += [
            f"{where}.{key}: means nothing for name = {list(names)}" for key in _unread(config)
        ]
    if config.channel_multiplier and config.out_features:
        mistakes.found.append(f"{where}.out_features: channel_multiplier says the widths as well; give one")
    mistakes.check()
    families = _families(config, names)
    return LayerChoices(
        families,
        _operand_choices(config, "data_in"),
        _operand_choices(config, "weight"),
        _operand_choices(config, "bias"),
        _width_choices(config, names, kind),
    )


def _families(config: LayerConfig, names: Sequence[str]) -> tuple[str, ...]:
    """The names of formats that are read; fixed point is sparse where its zeros are given."""
    families = [FAMILIES.get(name, NOT_QUANTIZED) for name in names]
    return with_sparsity(families, is_given=config.weight_sparsity is not None)


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
