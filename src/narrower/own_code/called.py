"""Call what the user names, a function or class, which is given no arguments here."""

import inspect
from collections.abc import Callable
from typing import Any

from narrower.errors import NarrowerError
from narrower.own_code.failures import defined_at, own_code


def called(where: str, reference: str, target: Callable[..., Any], kind: type[NarrowerError]) -> Any:
    """What it gives; ``where`` says what it is to be, as in "model 'mine:small'".

    Raises:
        NarrowerError: of the given kind: it wants arguments, or raises.
    """
    if lacking := _lacking(target):
        module, _, name = reference.partition(":")
        own = name.rpartition(".")[2]
        made = own.lower() if own.lower() != own else f"my_{own}"
        raise kind(
            f"{where} is called without arguments, and takes {', '.join(lacking)}{defined_at(target)}; write "
            f"a function that has none, as in 'def {made}(): return {own}({_given(lacking)})', and name "
            f"{module}:{made}"
        )
    with own_code(f"{where}: calling it", kind):
        return target()


def _lacking(target: Callable[..., Any]) -> list[str]:
    """The arguments that have no default, as they are called."""
    try:
        parameters = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):  # written in C: it does not say what it takes
        return []
    optional = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in optional]


def _given(names: list[str]) -> str:
    return ", ".join(f"{name}=..." for name in names)
