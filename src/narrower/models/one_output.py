"""A model that gives several outputs, as a dictionary or a tuple, as one that gives one of them."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from narrower.errors import ModelError

OUTPUT = "?output="  # behind the name of a model


class OneOutput(nn.Module):
    """The model's output ``key``: of a dictionary or an object its name, of a tuple or list its number."""

    def __init__(self, model: nn.Module, key: str) -> None:
        super().__init__()
        self.model, self.key = model, key

    def forward(self, first: Tensor, *more: Tensor) -> Any:
        return picked(self.model(first, *more), self.key)


def picked(given: Any, key: str) -> Any:
    """One of several outputs.

    Raises:
        ModelError: there is none of that name or number.
    """
    if isinstance(given, Mapping):
        if key in given:
            return given[key]
    elif isinstance(given, tuple | list) and key.isdecimal() and int(key) < len(given):
        return given[int(key)]
    elif not key.startswith("_") and hasattr(given, key) and not isinstance(given, Tensor):
        return getattr(given, key)
    raise ModelError(f"output: found {key!r}; {described_outputs(given)}")


def described_outputs(given: Any) -> str:
    """What a model gives, in words that say how one of it is named."""
    if isinstance(given, Mapping):
        return f"the model gives a dictionary of {', '.join(map(repr, given))}"
    if isinstance(given, tuple | list):
        return f"the model gives {len(given)} outputs, from '0' to '{len(given) - 1}'"
    return f"the model gives one {type(given).__name__}"
