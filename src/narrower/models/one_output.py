"""A model that takes its arguments by name, or gives several outputs, as one from tensors to a tensor."""

import inspect
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from narrower.data.sizes import Sizes
from narrower.errors import ModelError


class OneOutput(nn.Module):
    """The model's output ``key``: of a dictionary or an object its name, of a tuple or list its number.

    ``key`` None: what it gives, as it is. ``sizes`` name the arguments, where it takes them by name.
    """

    def __init__(self, model: nn.Module, key: str | None = None, sizes: Sizes | None = None) -> None:
        super().__init__()
        if sizes is not None and sizes.arguments:
            check_names(model, sizes.arguments)
        self.model, self.key = model, key
        self.names = () if sizes is None else sizes.arguments
        if self.names:
            self.sizes = sizes  # a file of its weights says them

    def forward(self, *arguments: Tensor) -> Any:
        if self.names:
            given = self.model(**dict(zip(self.names, arguments, strict=True)))
        else:
            given = self.model(*arguments)
        return given if self.key is None else picked(given, self.key)


def by_name(model: nn.Module, sizes: Sizes | None) -> nn.Module:
    """A model that is called with the arguments of these sizes; itself, where it takes them in this order.

    Raises:
        ModelError: it takes no argument of that name.
    """
    names = () if sizes is None else sizes.arguments
    if not names or isinstance(model, OneOutput):
        return model
    parameters = list(inspect.signature(model.forward).parameters)
    return model if parameters[: len(names)] == list(names) else OneOutput(model, None, sizes)


def check_names(model: nn.Module, names: tuple[str, ...]) -> None:
    """Check that a model takes arguments of these names.

    Raises:
        ModelError: with those that it takes.
    """
    parameters = inspect.signature(model.forward).parameters
    if any(each.kind == inspect.Parameter.VAR_KEYWORD for each in parameters.values()):
        return
    usual = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    takes = [name for name, each in parameters.items() if each.kind in usual]
    unknown = [name for name in names if name not in takes]
    if unknown:
        raise ModelError(
            f"{type(model).__name__} takes no argument {unknown[0]!r}, which the data have; it takes: "
            f"{', '.join(takes)}"
        )


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
