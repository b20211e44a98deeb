"""A model of HuggingFace's transformers from a folder on this machine; nothing is downloaded."""

from pathlib import Path
from typing import Any

from torch import nn

from narrower.errors import MissingExtraError, ModelError

PREFIX = "hf:"
WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
SCORES = "logits"


def huggingface_model(folder: str) -> nn.Module:
    """The model that config.json describes, with the weights of model.safetensors where they are there.

    Raises:
        MissingExtraError: transformers is not installed.
        ModelError: there is no such folder, or it describes no model of transformers.
    """
    try:
        import transformers
    except ImportError:
        raise MissingExtraError("transformers", "hf", f"the model {PREFIX + folder!r}") from None
    path = Path(folder).expanduser()
    if not (path / "config.json").is_file():
        raise ModelError(f"{PREFIX}{folder}: no config.json in {path}; a folder on this machine is needed")
    try:
        config: Any = transformers.AutoConfig.from_pretrained(path, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{path}/config.json: {str(error).splitlines()[0]}") from error
    named = (getattr(config, "architectures", None) or [""])[0]
    kind = getattr(transformers, named, None) if named else None
    if kind is None or not hasattr(kind, "from_pretrained"):
        raise ModelError(
            f"{path}/config.json: architectures names {named!r}, which transformers does not have"
        )
    if hasattr(config, "use_cache"):
        config.use_cache = False
    try:
        if any((path / name).is_file() for name in WEIGHTS):
            model: Any = kind.from_pretrained(
                path, config=config, local_files_only=True, use_safetensors=True
            )
        else:
            model = kind(config)
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(f"{path}: {str(error).splitlines()[0]}") from error
    found: nn.Module = model
    return found


def is_of_transformers(model: nn.Module) -> bool:
    """Whether a model is one of transformers, which is not imported for this."""
    return any(kind.__name__ == "PreTrainedModel" for kind in type(model).__mro__)


def without_cache(model: nn.Module) -> nn.Module:
    """The model, told to keep nothing of what it has seen, where it is one of transformers."""
    config: Any = getattr(model, "config", None)
    if hasattr(config, "use_cache"):
        config.use_cache = False
    return model
