"""A quality metric of the user's own: ``package.module:function(outputs, targets) -> float``."""

import inspect
import math
from collections.abc import Callable
from typing import Any

from torch import Tensor

from narrower.errors import ModelError, SettingsError
from narrower.own_code.failures import OwnCodeError, defined_at, described
from narrower.own_code.imported import import_object

OwnMetric = Callable[[Tensor, Tensor], float]


def own_metric(reference: str) -> OwnMetric:
    """Import the function; it gets outputs [N, classes] and targets [N] of all samples.

    Raises:
        ModelError: it cannot be imported.
        SettingsError: it cannot be called with outputs and targets.
    """
    function: Any = import_object(reference, ModelError)
    if not callable(function):
        raise SettingsError(f"{reference!r} is not callable, but {type(function).__name__}")

    try:
        inspect.signature(function).bind("outputs", "targets")
    except TypeError as error:
        raise SettingsError(f"{reference!r} is called as function(outputs, targets): {error}") from None
    except ValueError:
        pass  # written in C: it does not say what it takes

    def value(outputs: Tensor, targets: Tensor) -> float:
        try:
            given = function(outputs.clone(), targets.clone())  # it may write into what it is given
        except SystemExit as error:
            raise OwnCodeError(f"{reference}: {described(error)}") from error
        return _finite(reference, given, function)

    return value


def _finite(reference: str, given: Any, function: object) -> float:
    try:
        found = float(given)
    except (TypeError, ValueError, RuntimeError):
        raise OwnCodeError(
            f"{reference} returned {type(given).__name__}, expected one number{defined_at(function)}"
        ) from None
    if not math.isfinite(found):
        raise ValueError(f"{reference} gave {found}")
    return found
