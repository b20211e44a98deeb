"""From a TOML file to settings, or to one message that says what is wrong where."""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from narrower.errors import NarrowerError, SettingsError, SeveralMistakesError
from narrower.settings.explain import Key, dotted, mistakes
from narrower.settings.locate import line_of, line_of_text
from narrower.settings.mend import mended
from narrower.settings.respell import respelled
from narrower.settings.schema import RunSettings

DEEPEST = 50  # tables and lists within each other; the deepest key that has a meaning is at 6
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
    draft = read_draft(path)
    if draft.loaded is None:
        raise SeveralMistakesError(draft.mistakes, str(path))
    return draft.loaded


def read_draft(path: Path) -> Draft:
    """Read a settings file, whatever is wrong in it.

    Raises:
        SettingsError: it cannot be read, or is no TOML.
    """
    text, tables = _read(path)
    kept, ignored = _without_meaningless(tables, ())
    found = respelled(kept)
    ignored += found.ignored
    try:
        settings = RunSettings.model_validate(found.tables)
    except ValidationError as error:
        said = [(found.place(key), what) for key, what in mistakes(error)]
        rest, wrong = mended(found.tables)
        return Draft(
            None,
            in_order(
                path,
                [
                    _placed(path, line_of(text, key), f"{dotted(key)}: {what}" if key else what)
                    for key, what in said
                ],
            ),
            rest,
            wrong,
        )
    if settings.load_type is not None and settings.load_name is None:
        ignored.append("load_type")  # of no file
    return Draft(LoadedSettings(settings, tuple(ignored), tuple(found.notes)))


def _read(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: not UTF-8 text: {error.reason} at byte {error.start}") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise SettingsError(f"{path}: cannot be read: {reason}") from None
    try:
        tables = tomllib.loads(text)
    except RecursionError:
        raise SettingsError(f"{path}: tables or lists are nested too deep") from None
    except ValueError as error:
        raise SettingsError(f"{path}: not valid TOML: {error}") from None
    if _is_too_deep(tables):
        raise SettingsError(f"{path}: tables or lists are nested too deep")
    return text, tables


def _is_too_deep(tables: dict[str, Any]) -> bool:
    level: list[Any] = [tables]
    for _ in range(DEEPEST):
        level = [
            value
            for holder in level
            for value in (holder.values() if isinstance(holder, dict) else holder)
            if isinstance(value, dict | list)
        ]
    return bool(level)


@contextmanager
def about(key: str) -> Iterator[None]:
    """Name the key of the settings file whose value was found to be wrong."""
    try:
        yield
    except NarrowerError as error:
        raise SettingsError(f"{key}: {error}") from error


@contextmanager
def located(path: Path) -> Iterator[None]:
    """Put ``file:line`` before later mistakes that begin with a key of the file."""
    try:
        yield
    except SettingsError as error:
        # options of the command line have no lines
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        found = error.mistakes if isinstance(error, SeveralMistakesError) else (str(error),)
        lines = [_placed(path, _line(text, mistake), mistake) for mistake in found]
        raise SeveralMistakesError(in_order(path, lines), str(path)) from error


def _line(text: str, mistake: str) -> int | None:
    key = mistake.partition(": ")[0]
    return line_of_text(text, key) if text and _LIKE_A_KEY.fullmatch(key) else None


def _placed(path: Path, line: int | None, mistake: str) -> str:
    return f"{path}:{line}: {mistake}" if line else f"{path}: {mistake}"


def in_order(path: Path, mistakes: Sequence[str]) -> tuple[str, ...]:
    """Mistakes that begin with their place, by line; those without a line come first."""

    def line(mistake: str) -> int:
        number = mistake.removeprefix(f"{path}:").partition(":")[0]
        return int(number) if number.isdecimal() else 0

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
