"""A quality metric of the user's own: ``package.module:function(outputs, targets) -> float``."""

import inspect
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from narrower.errors import ModelError, SettingsError
from narrower.own_code.failures import OwnCodeError, defined_at, described
from narrower.own_code.imported import import_object
from narrower.tasks.catalogue import more_metric, task_named
from narrower.tasks.task import Task

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


@dataclass(frozen=True, slots=True)
class NamedMetric:
    """A metric of a task that is measured only where it is asked for, of all samples together."""

    task: str
    name: str

    def __call__(self, outputs: Tensor, targets: Tensor) -> float:
        """Its value.

        Raises:
            ValueError: it has none, as where a class has no samples.
        """
        metric = more_metric(task_named(self.task), self.name)
        assert metric is not None
        value = metric.value(metric.sums(outputs, targets), len(targets))
        if not math.isfinite(value):
            raise ValueError(f"{self.name} is {value}")
        return value


def named_metrics(task: Task, names: Iterable[str]) -> dict[str, OwnMetric]:
    """Those of the names that a task measures only where they are asked for."""
    return {name: NamedMetric(task.words.name, name) for name in names if more_metric(task, name) is not None}


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
