"""Resized models in files: their tensors, and the name of the model that they belong to."""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import nn

from narrower.errors import CheckpointError
from narrower.export.compressed import load_parts, plan_of
from narrower.plan import Plan
from narrower.tasks.catalogue import MODELS
from narrower.tasks.checkpoints import load_weights, save_weights
from narrower.tasks.datasets import load_data_set
from narrower.tasks.models import build_model
from narrower.transform.new_sizes import with_tensors
from narrower.transform.resized import resize

KEY = "narrower.resized"


def save_resized(model: nn.Module, name: str, path: Path) -> None:
    """Write the tensors of a resized model as safetensors; ``name`` is that of the model it was."""
    save_weights(model, path, {KEY: json.dumps({"model": name})})


def planned_model(name: str, weights: Path, plan: Plan) -> nn.Module:
    """The model with the widths of a plan: as they are in the file, or else resized (see ``resize``, slice).

    Raises:
        NarrowerError: the file cannot be read, or the model cannot have these widths.
    """
    if not plan.widths:
        return load_weights(build_model(name), weights)
    if plan_of(weights) is not None:
        model, held = load_parts(weights)
        if held.widths == plan.widths:
            return model
        raise CheckpointError(f"{weights}: holds a model of the widths {held.widths}, not of {plan.widths}")
    model = load_weights(build_model(name), weights)
    known = MODELS.get(name.lower())
    if known is None:
        raise CheckpointError(
            f"{weights}: holds {name} at its own widths; resize it first (narrower resize {name} --set ...)"
        )
    return resize(model, load_data_set(known.data_set).train.inputs[:3], plan.widths)


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
