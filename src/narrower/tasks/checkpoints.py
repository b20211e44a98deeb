"""Weights in files: read without running code from them, write without half-written files."""

import copy
import os
import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from narrower.errors import CheckpointError

WRAPPER_PREFIXES = ("model.", "module.", "_orig_mod.")
HOW_TO_SAVE = (
    "Where the file comes from someone you trust, load it there and save the weights alone: "
    "torch.save(model.state_dict(), 'weights.pt')"
)


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read tensors by name from a Lightning checkpoint, a state dict or a safetensors file.

    Prefixes that a wrapper put before every name are taken off. No code of the file is run.

    Raises:
        CheckpointError: no such file, not readable, or refused because it holds more than tensors.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    state = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    for prefix in WRAPPER_PREFIXES:
        if state and all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state


def load_weights(model: nn.Module, path: Path) -> nn.Module:
    """Return a copy of ``model`` with the weights of a file.

    Raises:
        CheckpointError: the file cannot be read, does not fit the model, or holds NaN.
    """
    state = read_state_dict(path)
    expected = model.state_dict()
    problems = [f"missing {name}" for name in expected if name not in state]
    problems += [f"unexpected {name}" for name in state if name not in expected]
    problems += [
        f"{name} has shape {tuple(state[name].shape)}, the model's has {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in state and state[name].shape != tensor.shape
    ]
    problems += [
        f"{name} holds NaN or infinity"
        for name, tensor in state.items()
        if tensor.is_floating_point() and not torch.isfinite(tensor).all()
    ]
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""  # noqa: PLR2004 - enough to see why
        raise CheckpointError(f"{path} does not fit {type(model).__name__}: {'; '.join(problems[:3])}{more}")
    loaded = copy.deepcopy(model)
    loaded.load_state_dict(state)
    return loaded


def save_weights(model: nn.Module, path: Path, metadata: dict[str, str] | None = None) -> None:
    """Write the model's parameters and buffers as safetensors; the file appears complete or not at all."""
    # Tied parameters share memory, which safetensors refuses: every name gets a copy of its own.
    tensors = {name: tensor.detach().clone().contiguous() for name, tensor in model.state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    save_file(tensors, partial, metadata)
    os.replace(partial, path)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except SafetensorError as error:
        raise CheckpointError(f"{path}: not a safetensors file: {error}") from error
    return tensors


def _read_torch(path: Path) -> dict[str, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(f"{path}: refused, because {_what_it_holds(error)}. {HOW_TO_SAVE}") from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise CheckpointError(f"{path}: not a PyTorch checkpoint: {str(error).splitlines()[0]}") from error
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise CheckpointError(
            f"{path}: holds no state dict (names and tensors) but {type(content).__name__}. {HOW_TO_SAVE}"
        )
    return {str(name): tensor for name, tensor in content.items()}


def _what_it_holds(error: pickle.UnpicklingError) -> str:
    """The object that torch refused, from its message."""
    text = str(error)
    for marker in ("GLOBAL ", "instantiate one more callable, "):
        if marker in text:
            name = text.partition(marker)[2].split(maxsplit=1)[0].strip("`.,")
            return f"it holds an object that is no tensor ({name})"
    return "it holds objects that are no tensors (hyper-parameters or a whole model, for example)"
