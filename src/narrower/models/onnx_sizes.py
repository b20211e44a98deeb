"""What operators of ONNX do to whole numbers of shapes: they stay lists, for any number of samples."""

from collections.abc import Callable
from typing import Any

import numpy as np

from narrower.models.onnx_operators import Attributes, Compute, Values, whole


def _list_gather(_: Attributes, values: Values) -> Any:
    sizes, places = whole(values[0]), values[1]
    if isinstance(places, np.ndarray) and places.ndim == 0:
        return [sizes[int(places)]]
    return [sizes[place] for place in whole(places)]


def _list_binary(function: Callable[[Any, Any], Any]) -> Compute:
    def compute(_: Attributes, values: Values) -> list[Any]:
        a, b = whole(values[0]), whole(values[1])
        count = max(len(a), len(b))
        return [function(x, y) for x, y in zip(a * (count // len(a)), b * (count // len(b)), strict=True)]

    return compute


OF_SIZES: dict[str, Compute] = {
    "Gather": _list_gather,
    "Concat": lambda _, values: [size for value in values for size in whole(value)],
    "Unsqueeze": lambda _, values: whole(values[0]),
    "Squeeze": lambda _, values: whole(values[0]),
    "Cast": lambda _, values: whole(values[0]),
    "Identity": lambda _, values: whole(values[0]),
    "Slice": lambda _, values: whole(values[0])[slice(*whole(values[1]), *whole(values[2]))],
    "Add": _list_binary(lambda a, b: a + b),
    "Sub": _list_binary(lambda a, b: a - b),
    "Mul": _list_binary(lambda a, b: a * b),
    "Div": _list_binary(lambda a, b: a // b),
}
