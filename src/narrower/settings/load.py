"""From a TOML file to settings, or to one message that says what is wrong where."""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from narrower.errors import NarrowerError, SettingsError, SeveralMistakesError, nearest
from narrower.settings.checks import shown
from narrower.settings.locate import line_of, line_of_text
from narrower.settings.respell import respelled
from narrower.settings.schema import RunSettings

Key = tuple[str, ...]
_LIKE_A_KEY = re.compile(r"[a-z_]+(\.\S+)*")
# Keys that files written for MASE/chop carry and that have no meaning here.
WITHOUT_MEANING = frozenset(
    """num_workers num_devices num_nodes weight_decay gradient_accumulation_steps is_to_interactive
    is_to_debug to_interactive to_debug auto_requeue disable_dataset_cache is_pretrained strategy
    trainer_precision visualizer transformer_only_on_nodes profile github_ci evaluate_before_training
    training_optimizer max_steps max_token_len num_warmup_steps ignore_warnings no_warnings
    model_parallel quant_config project_dir interval_save_checkpoints passes transform train""".split()  # noqa: SIM905
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


def load_settings(path: Path) -> LoadedSettings:
    """Read and validate a settings file.

    Raises:
        SettingsError: with file, line, key, what was found and what is allowed.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: not UTF-8 text: {error.reason} at byte {error.start}") from None
    try:
        tables = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise SettingsError(f"{path}: not valid TOML: {error}") from None
    kept, ignored = _without_meaningless(tables, ())
    found = respelled(kept)
    ignored += found.ignored
    try:
        settings = RunSettings.model_validate(found.tables)
    except ValidationError as error:
        raise SettingsError(explain(error, str(path), text, found.place)) from None
    if settings.load_type is not None and settings.load_name is None:
        ignored.append("load_type")  # of no file
    return LoadedSettings(settings, tuple(ignored), tuple(found.notes))


@contextmanager
def about(key: str) -> Iterator[None]:
    """Name the key of the settings file whose value was found to be wrong."""
    try:
        yield
    except NarrowerError as error:
        raise SettingsError(f"{key}: {error}") from error


@contextmanager
def located(path: Path) -> Iterator[None]:
    """Put ``file:line`` before a later error that begins with a key of the file."""
    try:
        yield
    except SettingsError as error:
        # options of the command line have no lines
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        mistakes = error.mistakes if isinstance(error, SeveralMistakesError) else (str(error),)
        raise SeveralMistakesError(_located(path, text, mistake) for mistake in mistakes) from error


def _located(path: Path, text: str, mistake: str) -> str:
    key = mistake.partition(": ")[0]
    line = line_of_text(text, key) if text and _LIKE_A_KEY.fullmatch(key) else None
    return f"{path}:{line}: {mistake}" if line else f"{path}: {mistake}"


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


def explain(error: ValidationError, path: str, text: str, place: Callable[[Key], Key] = tuple) -> str:
    """The first problem with its line; a key that is not known comes before what may be missing for it.

    ``place`` tells where in the file a key of the schema stands.
    """
    messages = []
    problems = error.errors(include_url=False)
    for problem in sorted(problems, key=lambda problem: problem["type"] != "extra_forbidden"):
        location = [part for part in problem["loc"] if part != "[key]"]
        key = place(tuple(str(part) for part in location))
        line = line_of(text, key)
        where = f"{path}:{line}" if line else path
        messages.append(f"{where}: {_key(key)}{_what(problem, location)}")
    unique = list(dict.fromkeys(messages))
    return unique[0] + (f" (and {len(unique) - 1} more mistakes)" if len(unique) > 1 else "")


def _key(location: Sequence[object]) -> str:
    return f"{'.'.join(str(part) for part in location)}: " if location else ""


def _what(problem: Any, location: Sequence[object]) -> str:
    kind, found = problem["type"], problem["input"]
    if kind == "missing":
        return "missing"
    if kind == "extra_forbidden":
        allowed = _fields_at(location[:-1])
        return f"unknown key{nearest(str(location[-1]), allowed)}; allowed: {', '.join(allowed)}"
    if kind in ("value_error", "assertion_error"):
        return str(problem["ctx"]["error"])
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return (
            f"found {shown(found)}; expected a table with the keys {', '.join(_fields_at(location)) or '...'}"
        )
    if kind == "too_short":
        return "empty; expected at least one entry"
    return f"found {shown(found)}; {problem['msg'][0].lower()}{problem['msg'][1:]}"


def _fields_at(location: Sequence[object]) -> list[str]:
    """The keys that are known at a place of the file."""
    model: Any = RunSettings
    for part in location:
        if isinstance(model, type) and issubclass(model, BaseModel):
            field = model.model_fields.get(str(part))
            model = _table_type(field.annotation) if field else None
        elif model is not None:  # inside a dictionary: its values
            model = _table_type(get_args(model)[1]) if len(get_args(model)) == 2 else None  # noqa: PLR2004
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []


def _table_type(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return annotation if getattr(annotation, "__origin__", None) is dict else None
