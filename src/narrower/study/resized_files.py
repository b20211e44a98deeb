"""Resized models in files: their tensors, and the name of the model that they belong to."""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from narrower.data.datasets import load_data_set
from narrower.errors import CheckpointError
from narrower.export.compressed import load_parts, plan_of
from narrower.models.arguments import ARGUMENTS, SAMPLES, example_like, example_of_note
from narrower.models.build import build_model, model_of_file
from narrower.models.catalogue import model_note
from narrower.models.checkpoint_files import metadata_of
from narrower.models.checkpoints import (
    load_weights,
    own_sizes_in,
    own_sizes_note,
    save_weights,
    sizes_in,
)
from narrower.plan.plan import Plan
from narrower.transform.new_sizes import with_tensors
from narrower.transform.resized import resize

KEY = "narrower.resized"


def save_resized(model: nn.Module, name: str, path: Path) -> None:
    """Write the tensors of a resized model as safetensors; ``name`` is that of the model it was."""
    save_weights(model, path, {KEY: json.dumps({"model": name}), **own_sizes_note(model)})


def planned_model(name: str, weights: Path, plan: Plan) -> nn.Module:
    """The model with the widths of a plan: as they are in the file, or else resized (see ``resize``, slice).

    Raises:
        NarrowerError: the file cannot be read, or the model cannot have these widths.
    """
    if plan.widths and plan_of(weights) is not None:
        model, held = load_parts(weights, name)
        if held.widths == plan.widths:
            return model
        raise CheckpointError(f"{weights}: holds a model of the widths {held.widths}, not of {plan.widths}")
    model = load_weights(build_model(name, sizes=sizes_in(weights)), weights)
    if not plan.widths:
        return model
    known = model_note(name)
    if known is None:
        raise CheckpointError(
            f"{weights}: holds {name} at its own widths; resize it first (narrower resize {name} --set ...)"
        )
    return resize(model, load_data_set(known.data_set).examples, plan.widths)


def arguments_of(name: str, weights: Path) -> tuple[Tensor, ...]:
    """Samples of what a model takes: as the file of its weights says, or as its usual data set has them.

    Nothing where neither is known.
    """
    found = example_of_note(metadata_of(weights).get(ARGUMENTS))
    if found is not None:
        return found
    sizes, known = sizes_in(weights), model_note(name)
    if sizes is not None:
        return (torch.zeros(SAMPLES, *sizes.sample),)
    return () if known is None else example_like(load_data_set(known.data_set).train.arguments)


def load_resized(path: Path | str, model: nn.Module | str | None = None) -> nn.Module:
    """The resized model of a file, in evaluation mode.

    ``model`` is the module (of any widths), or its name, where it is not one of the program's own.

    Raises:
        CheckpointError: the file cannot be read, or is none of ``save_resized``.
    """
    path = Path(path)
    try:
        with safe_open(str(path), framework="pt") as file:
            note = (file.metadata() or {}).get(KEY)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: cannot be read as safetensors: {error}") from None
    if note is None:
        raise CheckpointError(f"{path}: holds no resized model; narrower resize writes such files")
    try:
        named = str(json.loads(note)["model"])
    except (ValueError, TypeError, KeyError):
        raise CheckpointError(f"{path}: its note {note!r} names no model") from None
    return with_tensors(model_of_file(path, named, model), tensors, own_sizes_in(path)).eval()
