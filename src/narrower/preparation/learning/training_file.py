"""Safetensors files that say which training they belong to, each replaced as a whole."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from narrower.errors import CheckpointError
from narrower.store.files import replacing

KEY = "narrower.training"


class TrainingFiles:
    """Reads and writes files of one training; ``told`` is what that follows from."""

    def __init__(self, told: object) -> None:
        self._told = hashlib.sha256(repr(told).encode()).hexdigest()

    def write(self, path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Write tensors and facts.

        Raises:
            OutputError: the file cannot be written.
        """
        with replacing(path) as partial:
            save_file(dict(tensors), partial, {KEY: json.dumps({"told": self._told, **facts})})

    def read(self, path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Read them again.

        Raises:
            CheckpointError: the file is damaged, or of another training.
        """
        try:
            with safe_open(str(path), framework="pt") as file:
                facts = json.loads((file.metadata() or {})[KEY])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
                told = facts.pop("told")
        except (OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(f"{path}: cannot be read as the state of a training: {error}") from error
        if told != self._told:
            raise CheckpointError(
                f"{path}: belongs to a training with other settings or data; start a new run instead"
            )
        return tensors, facts
