"""Weights in files: read without running code from them, write without half-written files."""

import copy
import json
import os
import pickle
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from narrower.errors import CheckpointError, ModelError, nearest
from narrower.graph.folding import folded_layers, with_folded_layers

WRAPPER_PREFIXES = ("model.", "module.", "_orig_mod.")  # Lightning wrappers, DistributedDataParallel, compile
NAMED_PROBLEMS = 4
FOLDED = "narrower.folded"  # metadata: the layer that each folded batch norm is in
# What can do harm when it is called. This list chooses the words of a refusal alone: whatever is not a tensor
# is refused.
HARMFUL = re.compile(
    r"(posix|nt|os|sys|subprocess|shutil|socket|runpy|pty|importlib|ctypes|webbrowser)\."
    r"|(builtins|__builtin__)\.(eval|exec|compile|open|getattr|__import__)$"
)


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read tensors by name from a Lightning checkpoint, a state dict or a safetensors file.

    A prefix that a wrapper put before every name is taken off. No code of the file is run.

    Raises:
        CheckpointError: no such file, not readable, or refused because it holds more than tensors.
    """
    return _bare_names(_read(path))[-1]


def load_weights(model: nn.Module, path: Path | str) -> nn.Module:
    """Return a copy of ``model`` with the weights of a file.

    Where batch norms are folded in the file, they are in the copy.

    Raises:
        CheckpointError: the file cannot be read, does not fit the model, or holds NaN or infinity.
    """
    path = Path(path)
    model = structured_like(model, path)
    expected = model.state_dict()
    # A model may have a submodule called "model": prefixes come off only as far as the names then agree.
    candidates = _bare_names(_read(path))
    state = max(candidates, key=lambda names: len(names.keys() & expected.keys()))
    if problems := _misfits(state, expected) or _not_finite(state):
        more = f"; and {len(problems) - NAMED_PROBLEMS} more" if len(problems) > NAMED_PROBLEMS else ""
        raise CheckpointError(
            f"{path} does not fit {type(model).__name__}: {'; '.join(problems[:NAMED_PROBLEMS])}{more}"
        )
    loaded = copy.deepcopy(model)
    loaded.load_state_dict(state)
    return loaded


def structured_like(model: nn.Module, path: Path) -> nn.Module:
    """The model, or a copy of it in which those batch norms are folded that are folded in the file.

    Raises:
        CheckpointError: the model does not have the layers that are folded there.
    """
    folded = _metadata(path).get(FOLDED)
    if folded is None:
        return model
    try:
        return with_folded_layers(model, json.loads(folded))
    except (ValueError, AttributeError, ModelError) as error:
        raise CheckpointError(f"{path} does not fit {type(model).__name__}: {error}") from error


def structure_note(model: nn.Module) -> dict[str, str]:
    """What the metadata of a file says about a model whose batch norms are folded."""
    folded = folded_layers(model)
    return {FOLDED: json.dumps(folded)} if folded else {}


def save_weights(model: nn.Module, path: Path, metadata: dict[str, str] | None = None) -> None:
    """Write the model's parameters and buffers as safetensors; the file appears complete or not at all."""
    # Tied parameters share memory, which safetensors refuses: every name gets a copy of its own.
    tensors = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in model.state_dict().items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        save_file(tensors, partial, {**structure_note(model), **(metadata or {})} or None)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _bare_names(state: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    """The state dict as it is, then after taking off each common prefix in turn."""
    candidates = [state]
    while state:
        prefix = next((p for p in WRAPPER_PREFIXES if all(name.startswith(p) for name in state)), None)
        if prefix is None:
            break
        state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
        candidates.append(state)
    return candidates


def _misfits(state: dict[str, Tensor], expected: dict[str, Tensor]) -> list[str]:
    unexpected = [name for name in state if name not in expected]
    problems = [f"missing {name}{nearest(name, unexpected)}" for name in expected if name not in state]
    problems += [f"unexpected {name}" for name in unexpected]
    return problems + [
        f"{name} has shape {tuple(state[name].shape)}, the model's has {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in state and state[name].shape != tensor.shape
    ]


def _not_finite(state: dict[str, Tensor]) -> list[str]:
    return [
        f"{name} holds NaN or infinity"
        for name, tensor in state.items()
        if tensor.is_floating_point() and not torch.isfinite(tensor.float()).all()
    ]


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    return _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: not a safetensors file: {error}") from error
    return tensors


def _metadata(path: Path) -> dict[str, str]:
    """What a safetensors file says about itself; nothing where it is no such file."""
    if path.suffix != ".safetensors" or not path.is_file():
        return {}
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError):
        return {}  # reading its tensors says why


def _read_torch(path: Path) -> dict[str, Tensor]:
    try:
        with warnings.catch_warnings():
            # Said of pickles that are refused in any case.
            warnings.filterwarnings("ignore", message="Detected pickle protocol", category=UserWarning)
            content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(f"{path}: refused: {_reason(path)}") from error
    except Exception as error:  # bytes that are no pickle make the unpickler raise anything
        raise CheckpointError(f"{path}: not a PyTorch checkpoint, or a damaged one") from error
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not content:
        raise CheckpointError(f"{path}: holds no state dict (names and tensors) but {type(content).__name__}")
    other = [name for name, value in content.items() if not isinstance(value, Tensor)]
    if other:
        raise CheckpointError(
            f"{path}: holds no state dict: {other[0]!r} is {type(content[other[0]]).__name__}, not a tensor. "
            f"In Lightning's form the tensors are below the key 'state_dict'"
        )
    return {str(name): tensor for name, tensor in content.items()}


def _reason(path: Path) -> str:
    """Why torch refused the file, from a look at its pickle that runs nothing."""
    try:
        # Names of classes and functions that are not on torch's list of harmless ones.
        names = sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    except Exception:  # not in torch's own format, so there is no list
        return (
            "it is a pickle of something other than tensors, which could run any code. Ask its author for "
            "the weights alone: torch.save(model.state_dict(), 'weights.pt')"
        )
    harmful = [name for name in names if HARMFUL.match(name)]
    if harmful:
        return (
            f"loading it would call {', '.join(harmful)}. It may be malicious: load it nowhere, and ask its "
            "author for a safetensors file"
        )
    if any(name.startswith("torch.nn.") for name in names):
        what = "it holds a whole model, not its state dict"
    elif _mentions_hyper_parameters(path):
        what = f"its hyper-parameters hold {', '.join(names)}"
    else:
        what = f"it holds {', '.join(names) or 'something'}, not only tensors"
    return f"{what}. {_how_to_save(path)}"


def _mentions_hyper_parameters(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        pickles = [name for name in archive.namelist() if name.endswith("data.pkl")]
        return any(b"hyper_parameters" in archive.read(name) for name in pickles)


def _how_to_save(path: Path) -> str:
    return (
        "If you trust whoever made it, save the weights alone and load those: "
        f"python -c \"import torch; c = torch.load({str(path)!r}, map_location='cpu', weights_only=False); "
        "s = c.state_dict() if hasattr(c, 'state_dict') else c.get('state_dict', c); "
        f"torch.save(s, '{path.stem}.pt')\""
    )
