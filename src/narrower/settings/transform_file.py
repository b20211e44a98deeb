"""The file that ``narrower pick`` prints and ``narrower transform`` reads: model, weights, plan."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from narrower.errors import NarrowerError, SettingsError, nearest
from narrower.plan.plan import Plan, plan_from_dict

KEYS = ("model", "load", "weights_sha256", "plan")


@dataclass(frozen=True, slots=True)
class TransformFile:
    """A model by name, the file of its weights, and what is to be made of it.

    ``weights_sha256`` is the hash of that file when the plan was picked; None: any file will do.
    """

    model: str
    load: Path
    plan: Plan
    weights_sha256: str | None = None


def load_transform_file(path: Path) -> TransformFile:
    """Read and validate the file.

    Raises:
        SettingsError: with file, key, what was found and what is allowed.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:  # not UTF-8, or not TOML
        raise SettingsError(f"{path}: not valid TOML: {error}") from None
    for key in tables:
        if key not in KEYS:
            raise SettingsError(f"{path}: {key}: unknown key{nearest(key, KEYS)}; allowed: {', '.join(KEYS)}")
    for key in ("model", "load"):
        if not isinstance(tables.get(key), str):
            raise SettingsError(f"{path}: {key}: expected a text, found {tables.get(key)!r}")
    if not isinstance(tables.get("weights_sha256", ""), str):
        raise SettingsError(f"{path}: weights_sha256: expected a text, found {tables['weights_sha256']!r}")
    if not isinstance(tables.get("plan"), dict):
        raise SettingsError(f'{path}: plan: expected a table for each layer, such as [plan."layer"]')
    try:
        plan = plan_from_dict(tables["plan"])
    except NarrowerError as error:
        raise SettingsError(f"{path}: {error}") from None
    return TransformFile(tables["model"], Path(tables["load"]), plan, tables.get("weights_sha256"))
