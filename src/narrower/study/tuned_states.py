"""The states of plans in training below a run: a file for each plan and stage, and of what is unfinished."""

import hashlib
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from narrower.errors import CheckpointError
from narrower.models.checkpoint_files import read_content
from narrower.store.files import replacing, write_text
from narrower.training.continued import CandidateState
from narrower.training.core import Core
from narrower.training.saved import own_copies, write_checkpoint

DIRECTORY, IDENTITY, UNFINISHED = "finetuned", "identity.txt", "unfinished-{}.pt"
SECONDS = 3.0  # between two times that a training that has not ended is written


class TunedStates:
    """Files of one finetuning; those of another that lie there are taken away.

    ``identity`` says everything that the states depend on.
    """

    def __init__(self, run: Path, identity: str) -> None:
        self._directory = run / DIRECTORY
        self._written = time.monotonic()
        text = hashlib.sha256(identity.encode()).hexdigest()
        path = self._directory / IDENTITY
        held = path.read_text(encoding="utf-8") if path.is_file() else None
        if held != text:
            shutil.rmtree(self._directory, ignore_errors=True)
            write_text(path, text)

    def load(self, number: int, stage: str) -> CandidateState | str | None:
        """What a plan was trained to in a stage, or why it cannot be trained; None: not yet."""
        failure = self._path(number, stage, "txt")
        if failure.is_file():
            return failure.read_text(encoding="utf-8")
        path = self._path(number, stage, "safetensors")
        with suppress(SafetensorError, OSError):
            return load_file(path) if path.is_file() else None
        return None

    def has(self, number: int, stage: str) -> bool:
        """Whether there is a file of what a plan was trained to in a stage."""
        return any(self._path(number, stage, ending).is_file() for ending in ("safetensors", "txt"))

    def save(self, number: int, stage: str, state: CandidateState | str) -> None:
        """Keep what a plan was trained to."""
        if isinstance(state, str):
            write_text(self._path(number, stage, "txt"), state)
            return
        with replacing(self._path(number, stage, "safetensors")) as partial:
            save_file(state, partial)

    def epoch(self, key: str, core: Core) -> None:
        """After an epoch: what is needed to go on with plans that are in training, if it is time."""
        if time.monotonic() - self._written < SECONDS:
            return
        self.pause(key, own_copies(core.state()))
        self._written = time.monotonic()

    def pause(self, key: str, state: dict[str, Any]) -> None:
        """Keep the state of the plans ``key`` that are in training."""
        write_checkpoint(self._unfinished(key), {"key": key, "state": state})

    def end(self, key: str) -> None:
        """These are not in training any more."""
        self._unfinished(key).unlink(missing_ok=True)

    def unfinished(self, key: str) -> dict[str, Any] | None:
        """The state of the plans ``key`` that were in training when it ended."""
        path = self._unfinished(key)
        if not path.is_file():
            return None
        with suppress(CheckpointError):
            content = read_content(path)
            if isinstance(content, dict) and content.get("key") == key:
                state: dict[str, Any] = content["state"]
                return state
        return None

    def _unfinished(self, key: str) -> Path:
        return self._directory / UNFINISHED.format(hashlib.sha256(key.encode()).hexdigest()[:12])

    def _path(self, number: int, stage: str, ending: str) -> Path:
        return self._directory / stage.replace(" ", "-") / f"trial-{number}.{ending}"
