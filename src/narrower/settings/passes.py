"""MASE/chop's ``[passes.quantize]``: formats of the layers that a search leaves alone."""

from dataclasses import replace

from narrower.errors import Mistakes
from narrower.searching.space_settings import FixedFormats, LayerChoices, OperandChoices, SpaceSettings
from narrower.settings import checks
from narrower.settings.convert_layer_choices import layer_choices
from narrower.settings.convert_space import DEFAULT
from narrower.settings.layer_table import LayerConfig
from narrower.settings.schema import Passes, RunSettings
from narrower.settings.table import given_keys

WHERE = "passes.quantize"


def with_passes(space: SpaceSettings, settings: RunSettings) -> SpaceSettings:
    """The space, with formats for the layers that it leaves alone."""
    fixed = fixed_formats(settings.passes)
    return space if fixed is None else replace(space, fixed=fixed)


def fixed_formats(passes: Passes | None) -> FixedFormats | None:
    """The formats of the layers; None where nothing is said of any.

    Raises:
        SettingsError: beginning with the keys that say several formats, or none.
    """
    if passes is None or passes.quantize is None:
        return None
    layers, mistakes = {}, Mistakes()
    for key, seed in passes.quantize.seed.items():
        with mistakes.about():
            layers[key] = _choices(key, seed.config)
    mistakes.check()
    default = layers.pop(DEFAULT, None)
    found = FixedFormats(passes.quantize.by, tuple(layers.items()), default)  # type: ignore[arg-type]
    return found if found.quantizes else None


def _choices(key: str, config: LayerConfig) -> LayerChoices:
    where, mistakes = f"{WHERE}.{key}.config", Mistakes()
    for name in given_keys(config):
        value = getattr(config, name)
        if isinstance(value, tuple) and len(value) > 1:
            mistakes.found.append(f"{where}.{name}: found {checks.shown(list(value))}; a fixed plan has one")
    mistakes.check()
    choices = layer_choices(where, config, "quantize", is_strict=False)
    if choices.families == ("fixed",):
        mistakes.found += [
            f"{where}.{name}: missing; expected a number of bits"
            for name in ("data_in_width", "weight_width")
            if getattr(config, name) is None
        ]
    mistakes.check()
    if not choices.bias.widths:  # a bias of which nothing is said stays
        choices = replace(choices, bias=OperandChoices(("NA",)))
    return choices
