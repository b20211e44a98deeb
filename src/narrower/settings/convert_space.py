"""From the settings file's search space to what may be chosen for which layers."""

from collections.abc import Mapping

from narrower.errors import Mistakes
from narrower.plan.formats.calibration import CalibrationSettings
from narrower.searching.match_layers import SEED
from narrower.searching.space_settings import (
    Kind,
    LayerChoices,
    SpaceSettings,
)
from narrower.settings.convert_layer_choices import is_foreign, layer_choices
from narrower.settings.layer_table import LayerConfig
from narrower.settings.schema import EDGES, SPACE_KINDS, RunSettings
from narrower.settings.table import given_keys

DEFAULT = "default"
SETUP_OF_FORMATS = (
    *("rounding", "overflow", "sign", "calibration", "percentile", "calibration_samples"),
    *("quantize", "agree", "adjust"),
)


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
        if is_foreign(name, kind)
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


def _is_of_peer(settings: RunSettings) -> bool:
    """Whether the space is named as in MASE/chop, where a key that means nothing is passed over."""
    return "/" in settings.search.search_space.name
