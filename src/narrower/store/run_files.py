"""Whether the files of a run belong together, by hashes that are kept with its trials."""

import hashlib
import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path

from narrower.errors import RunError
from narrower.store.run_directory import RunDirectory

SETTINGS_FACT, WEIGHTS_FACT, MEMBERS_FACT = "settings file", "weights file", "member files"
CHUNK_BYTES = 2**20


def file_facts(run: RunDirectory) -> dict[str, object]:
    """What to record of the files that a search begins with."""
    return {SETTINGS_FACT: _settings_hash(run.settings), WEIGHTS_FACT: file_hash(run.weights)}


def member_facts(run: RunDirectory, weights: list[str]) -> dict[str, str]:
    """What to record of the members' own weights, by their names in the run."""
    return {name: file_hash(run.path / name) for name in weights}


def compare_files(run: RunDirectory, facts: Mapping[str, object]) -> list[str]:
    """Compare the files with what the search recorded of them; what could not be compared is returned.

    Raises:
        RunError: with each file that is of another search, or was changed.
    """
    expected = {run.settings: facts.get(SETTINGS_FACT), run.weights: facts.get(WEIGHTS_FACT)}
    members = facts.get(MEMBERS_FACT)
    for name, recorded in (members if isinstance(members, dict) else {}).items():
        expected[run.path / name] = recorded
    notes, changed = [], []
    if expected[run.settings] is None or expected[run.weights] is None:
        notes.append(
            f"{run.path}: the run does not record its settings and weights (an earlier version wrote it); "
            "whether they belong to its trials is not known"
        )
    for path, recorded in expected.items():
        if os.path.lexists(path) and not path.is_file():
            raise RunError(f"{path}: is no regular file")
        if not path.is_file():
            notes.append(f"{path}: the file is missing")
        elif recorded is not None and recorded != (_settings_hash if path == run.settings else file_hash)(
            path
        ):
            changed.append(str(path.relative_to(run.path)))
    if changed:
        are = "are not those" if len(changed) > 1 else "is not the one"
        raise RunError(
            f"{run.path}: the files do not belong together: {' and '.join(changed)} {are} that the trials in "
            f"{run.trials.name} were made with; put back what the search wrote, or search again"
        )
    return notes


def file_hash(path: Path) -> str:
    """SHA-256 of a file's content.

    Raises:
        RunError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror}") from error
    return digest.hexdigest()


def run_of(weights: Path) -> RunDirectory | None:
    """The run whose weights a file holds; None where it lies elsewhere."""
    run = RunDirectory(weights.parent.parent)
    return run if weights.parent.name == run.weights.parent.name and run.trials.is_file() else None


def _settings_hash(path: Path) -> str:
    """Of what a settings file says: comments and spacing do not count."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{path}: cannot be read: {error}") from error
    return hashlib.sha256(json.dumps(tables, sort_keys=True, default=str).encode()).hexdigest()
