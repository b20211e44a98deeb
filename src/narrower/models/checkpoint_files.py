"""What is in a file of weights, read without running code from it."""

import pickle
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from narrower.errors import CheckpointError
from narrower.models.stored_formats import without_formats

# What can do harm when it is called. This list chooses the words of a refusal alone: whatever is not a tensor
# is refused.
HARMFUL = re.compile(
    r"(posix|nt|os|sys|subprocess|shutil|socket|runpy|pty|importlib|ctypes|webbrowser)\."
    r"|(builtins|__builtin__)\.(eval|exec|compile|open|getattr|__import__)$"
)
HEADER_LENGTH = 8  # bytes at the beginning of a safetensors file that say how long its JSON header is


def read_content(path: Path) -> Any:
    """Everything that a file of weights holds: tensors and plain values in dictionaries and lists.

    Raises:
        CheckpointError: no such file, not readable, or refused because it could run code.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    return _read_safetensors(path) if is_safetensors(path) else _read_torch(path)


def is_safetensors(path: Path) -> bool:
    """Whether the file is one of safetensors: by its ending, or else by how it begins."""
    if path.suffix == ".safetensors":
        return True
    try:
        with path.open("rb") as file:
            start = file.read(HEADER_LENGTH + 1)
    except OSError:
        return False
    return len(start) > HEADER_LENGTH and start[HEADER_LENGTH:] == b"{" and start[:2] != b"PK"


def metadata_of(path: Path) -> dict[str, str]:
    """What a safetensors file says about itself; nothing where it is no such file."""
    if not is_safetensors(path) or not path.is_file():
        return {}
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError):
        return {}  # reading its tensors says why


def _read_safetensors(path: Path) -> Any:
    try:
        return without_formats(load_file(path))
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: not a safetensors file: {error}") from error


def _read_torch(path: Path) -> Any:
    if (other := _other_archive(path)) is not None:
        raise CheckpointError(f"{path}: {other}")
    try:
        with warnings.catch_warnings():
            # Said of pickles that are refused in any case.
            warnings.filterwarnings("ignore", message="Detected pickle protocol", category=UserWarning)
            mapped = zipfile.is_zipfile(path)  # what PyTorch wrote before 1.6 is read as a whole
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        raise CheckpointError(f"{path}: refused: {_reason(path)}") from error
    except Exception as error:  # bytes that are no pickle make the unpickler raise anything
        raise CheckpointError(f"{path}: not a PyTorch checkpoint, or a damaged one") from error


def _other_archive(path: Path) -> str | None:
    """What an archive is that PyTorch writes as well, but not with ``torch.save``; None for checkpoints."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.partition("/")[2] for name in archive.namelist()}
    except (OSError, zipfile.BadZipFile):
        return None
    if "constants.pkl" in names:
        load, what = "torch.jit.load(FILE, map_location='cpu').state_dict()", "a TorchScript program"
    elif "archive_format" in names or "serialized_exported_program.json" in names:
        load, what = "torch.export.load(FILE).state_dict", "an exported program (torch.export)"
    else:
        return None
    return (
        f"{what}, not a checkpoint: it holds code as well. If you trust whoever made it, save its weights "
        f"alone and load those: "
        f'python -c "import torch; torch.save({load.replace("FILE", repr(str(path)))}, '
        f"'{path.stem}-weights.pt')\""
    )


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
