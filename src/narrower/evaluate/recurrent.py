"""Recurrent operators of a program under a plan: their states are rounded as their data."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from narrower.errors import ModelError
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.formats.number_format import NumberFormat
from narrower.transform.quantizers.quantize import quantize
from narrower.transform.quantizers.recurrent import Rounding, stepwise


def run_recurrent(target: Any, arguments: Sequence[Any], keywords: Any, data: NumberFormat) -> Any:
    """Run a recurrent operator whose input, weights and biases are rounded; its states are rounded as data.

    Where these are not rounded this is the operator itself.
    """
    if data == FLOAT32:
        return target(*arguments, **keywords)
    return _stepwise(target, arguments, lambda value: quantize(value, data))


def values_read(target: Any, arguments: Sequence[Any]) -> list[Tensor]:
    """What the matrices of a recurrent layer read beside its input, when nothing is rounded."""
    read: list[Tensor] = []

    def seen(value: Tensor) -> Tensor:
        read.append(value)
        return value

    _stepwise(target, arguments, seen)
    return read


def _stepwise(target: Any, arguments: Sequence[Any], rounded: Rounding) -> tuple[Tensor, ...]:
    kind = target._schema.name.split("::")[-1]
    if target._overloadname != "input":
        raise ModelError(f"{kind}: a recurrent layer of packed sequences cannot be rounded")
    return stepwise(kind, arguments, rounded)
