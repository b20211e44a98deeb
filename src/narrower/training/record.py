"""Whether the training in a directory has ended: ``training.json``, written at its beginning and end."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from narrower.store.files import write_json
from narrower.tasks.task import Words

NAME = "training.json"


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """A training: its settings, whether it has ended, and what it was trained on."""

    ended: bool
    epochs: int  # that were asked for
    settings: dict[str, Any]
    data_set: str
    task: Words
    output_names: tuple[str, ...]
    loss: str
    kept: str = "last epoch"  # which weights: no samples choose an epoch

    def write(self, directory: Path) -> None:
        """Write it; the file appears complete or not at all."""
        held = asdict(self)
        del held["task"]
        held[self.task.names_key] = held.pop("output_names")
        write_json(directory / NAME, held)


def is_unfinished(directory: Path) -> bool:
    """Whether a training began here and did not end; one that left no record counts as ended."""
    try:
        held = json.loads((directory / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(held, dict) and held.get("ended") is False


def unfinished_note(weights: Path) -> list[str]:
    """What to say of weights that a training left that did not end; nothing of others."""
    is_left = weights.parent.name == "checkpoints" and is_unfinished(weights.parent.parent)
    return [f"{weights} is of a training that did not end"] if is_left else []
