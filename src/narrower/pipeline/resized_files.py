"""Resized models in files: their tensors, and the name of the model that they belong to."""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import nn

from narrower.errors import CheckpointError
from narrower.tasks.checkpoints import save_weights
from narrower.tasks.models import build_model
from narrower.transform.resized import with_tensors

KEY = "narrower.resized"


def save_resized(model: nn.Module, name: str, path: Path) -> None:
    """Write the tensors of a resized model as safetensors; ``name`` is that of the model it was."""
    save_weights(model, path, {KEY: json.dumps({"model": name})})


def load_resized(path: Path | str) -> nn.Module:
    """The resized model of a file, in evaluation mode.

    Raises:
        CheckpointError: the file cannot be read, or is none of ``save_resized``.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            note = (file.metadata() or {}).get(KEY)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: cannot be read as safetensors: {error}") from None
    if note is None:
        raise CheckpointError(f"{path}: holds no resized model; narrower resize writes such files")
    return with_tensors(build_model(json.loads(note)["model"]), tensors).eval()
