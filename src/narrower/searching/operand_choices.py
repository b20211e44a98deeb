"""What may be chosen for one operand of a layer, and the format that each choice gives."""

from collections.abc import Mapping, Sequence

from narrower.errors import SettingsError
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.formats.number_format import NumberFormat
from narrower.searching.format_names import NAMED, NOT_QUANTIZED, Operand
from narrower.searching.match_layers import SEED
from narrower.searching.space import Choice, Value
from narrower.searching.space_settings import LayerChoices, OperandChoices

KEYS = {"data": "data_in", "weight": "weight", "bias": "bias"}


def places_read(layer: str, operand: str, family: str, named: Sequence[Choice]) -> tuple[int, ...]:
    """Where among an operand's choices those are that the formats with a name read."""
    keys = () if family == NOT_QUANTIZED else NAMED[family].keys_of(operand)
    names = [choice.name for choice in named]
    return tuple(sorted(names.index(f"{layer}.{KEYS[operand]}_{key}") for key in keys))


def _keys_read(families: Sequence[str], operand: str) -> list[str]:
    """The ends of the keys that the formats with these names read, each once."""
    named = [NAMED[family] for family in families if family != NOT_QUANTIZED]
    return list(dict.fromkeys(key for formats in named for key in formats.keys_of(operand)))


def operand_choices(
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


def format_of(
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
