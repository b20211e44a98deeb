"""Read a record that only some runs have."""

from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter

from narrower.errors import RunError

T = TypeVar("T")


def read_optional(path: Path, kind: type[T]) -> T | None:
    """What a JSON file holds; None where there is none.

    Raises:
        RunError: it cannot be read, or has another form.
    """
    if not path.is_file():
        return None
    try:
        return TypeAdapter(kind).validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: cannot be read: {error}") from error
