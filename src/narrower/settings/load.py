"""From a TOML file to settings, or to one message that says what is wrong where."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from narrower.errors import NarrowerError, SettingsError, SeveralMistakesError
from narrower.settings.explain import Key, dotted, mistakes
from narrower.settings.layers import OPTIONS, Layers, read_layers
from narrower.settings.mend import mended
from narrower.settings.respell import respelled
from narrower.settings.schema import RunSettings, validated

_LIKE_A_KEY = re.compile(r"[a-z_]+(\.\S+)*")
# Keys that files written for MASE/chop carry and that have no meaning here.
WITHOUT_MEANING = frozenset(
    """num_workers num_devices num_nodes weight_decay gradient_accumulation_steps is_to_interactive
    is_to_debug to_interactive to_debug auto_requeue disable_dataset_cache is_pretrained strategy
    trainer_precision visualizer transformer_only_on_nodes profile github_ci evaluate_before_training
    training_optimizer max_steps max_token_len num_warmup_steps ignore_warnings no_warnings
    model_parallel quant_config project_dir interval_save_checkpoints transform train""".split()  # noqa: SIM905
)
WITHOUT_MEANING_BELOW = {
    ("search",): frozenset({"accelerator"}),
    ("search", "search_space", "setup"): frozenset({"follow_parent"}),
    ("search", "strategy", "setup"): frozenset({"model_parallel", "runner", "pruner", "model_storage"}),
    ("search", "strategy", "sw_runner", "basic_evaluation"): frozenset({"name"}),
}


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """Settings, and the keys that were passed over because they mean nothing here."""

    settings: RunSettings
    ignored: tuple[str, ...]
    notes: tuple[str, ...] = ()  # what else was made of the file
    layers: Layers = OPTIONS  # what they were read from
    moved: Mapping[Key, Key] = field(
        default_factory=dict
    )  # where keys stand there that are spelled otherwise


@dataclass(frozen=True, slots=True)
class Draft:
    """A file as it was read: settings, or its mistakes and what can be made of the rest.

    ``mistakes`` say where they are. ``rest`` are settings in which something stands in for what is wrong at
    the places ``wrong``.
    """

    loaded: LoadedSettings | None
    mistakes: tuple[str, ...] = ()
    rest: RunSettings | None = None
    wrong: tuple[Key, ...] = ()


def load_settings(path: Path) -> LoadedSettings:
    """Read and validate a settings file.

    Raises:
        SettingsError: with file, line, key, what was found and what is allowed, for every mistake.
    """
    draft = draft_of(read_layers(path))
    if draft.loaded is None:
        raise SeveralMistakesError(draft.mistakes, str(path))
    return draft.loaded


def draft_of(layers: Layers) -> Draft:
    """What can be made of settings, whatever is wrong in them."""
    kept, ignored = _without_meaningless(layers.tables(), ())
    found = respelled(kept)
    ignored += found.ignored
    try:
        settings = validated(found.tables)
    except ValidationError as error:
        said = [(found.place(key), what) for key, what in mistakes(error)]
        rest, wrong = mended(found.tables)
        placed = [
            f"{layers.place(key)}: {dotted(key)}: {what}" if key else f"{layers.main}: {what}"
            for key, what in said
        ]
        return Draft(None, in_order(layers, placed), rest, wrong)
    if settings.load_type is not None and settings.load_name is None:
        ignored.append("load_type")  # of no file
    return Draft(LoadedSettings(settings, tuple(ignored), tuple(found.notes), layers, found.moved))


@contextmanager
def about(key: str) -> Iterator[None]:
    """Name the key of the settings file whose value was found to be wrong."""
    try:
        yield
    except NarrowerError as error:
        raise SettingsError(f"{key}: {error}") from error


@contextmanager
def located(layers: Layers) -> Iterator[None]:
    """Put ``file:line`` before later mistakes that begin with a key of the settings."""
    try:
        yield
    except SettingsError as error:
        found = error.mistakes if isinstance(error, SeveralMistakesError) else (str(error),)
        placed = [f"{_place(layers, mistake)}: {mistake}" for mistake in found]
        raise SeveralMistakesError(in_order(layers, placed), layers.main) from error


def _place(layers: Layers, mistake: str) -> str:
    key = mistake.partition(": ")[0]
    return layers.place_of_text(key) if _LIKE_A_KEY.fullmatch(key) else layers.main


def in_order(layers: Layers, mistakes: Sequence[str]) -> tuple[str, ...]:
    """Mistakes that begin with their place, by file and line; those without a line come first."""
    names = [layers.main, *dict.fromkeys(layer.name for layer in layers.each)]

    def line(mistake: str) -> tuple[int, int]:
        named = [name for name in names if mistake.startswith(f"{name}:")]
        file = max(named, key=len, default=layers.main)
        number = mistake.removeprefix(f"{file}:").partition(":")[0]
        return (names.index(file, 1), int(number)) if number.isdecimal() else (names.index(file), 0)

    return tuple(sorted(mistakes, key=line))


def _without_meaningless(table: Mapping[str, Any], at: tuple[str, ...]) -> tuple[dict[str, Any], list[str]]:
    meaningless = WITHOUT_MEANING_BELOW.get(at, WITHOUT_MEANING if not at else frozenset())
    kept: dict[str, Any] = {}
    ignored: list[str] = []
    for key, value in table.items():
        if key in meaningless:
            ignored.append(".".join((*at, key)))
        elif isinstance(value, dict):
            kept[key], below = _without_meaningless(value, (*at, key))
            ignored += below
        else:
            kept[key] = value
    return kept, ignored
