"""Metrics of the user's own that look at all samples together.

What samples contribute are their outputs and targets themselves: rows of numbers that begin with the shapes.
"""

from functools import partial
from importlib import import_module  # torch is there when there is something to measure
from typing import TYPE_CHECKING, Any

import numpy as np

from narrower.errors import DataError
from narrower.own_code.failures import defined_at, own_code
from narrower.tasks.own.of_samples import Function
from narrower.tasks.side_by_side import side_by_side
from narrower.tasks.task import Direction, SampleMetric
from narrower.tasks.whole_metrics import Floats, whole_metric

if TYPE_CHECKING:
    from torch import Tensor


def metric_of_all(
    where: str,
    name: str,
    description: str,
    direction: Direction,
    function: Function,
    *,
    draws: int = 1000,
) -> SampleMetric:
    """The metric that a function of the outputs and targets of all samples gives."""
    values = partial(_values, where, function)
    return whole_metric(name, description, rows_of, values, direction=direction, draws=draws)


def rows_of(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    """Outputs and targets of samples, a row each, with the shapes before them."""
    header: list[float] = []
    for values in (outputs, targets):
        header += [values.dim() - 1, *values.shape[1:], float(values.is_floating_point())]
    start = outputs.double().new_tensor(header).expand(len(outputs), len(header))
    return side_by_side(start, outputs.reshape(len(outputs), -1), targets.reshape(len(targets), -1))


def _values(where: str, function: Function, rows: Floats, times: Floats) -> Floats:
    outputs, targets = import_module("narrower.tasks.own.tensors").outputs_and_targets(rows)
    return np.array([_value(where, function, outputs, targets, each) for each in times])


def _value(where: str, function: Function, outputs: "Tensor", targets: "Tensor", times: Any) -> float:
    if not (times == 1).all():
        drawn = np.repeat(np.arange(len(times)), times.astype(np.int64))
        outputs, targets = outputs[drawn], targets[drawn]
    with own_code(where, DataError):
        given = function(outputs.clone(), targets.clone())  # it may write into what it is given
        try:
            return float(given)
        except (TypeError, ValueError, RuntimeError):
            raise DataError(
                f"{where} returned {type(given).__name__}, expected one number{defined_at(function)}"
            ) from None
