"""Operators of networks on arrays of da4ml's numbers, which become adders, shifts and selections."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from narrower.plan.formats.fixed_each import FixedEach

Array = NDArray[Any]


class LogicArithmetic:
    """Operators whose results need numbers of their own: constants, sums of products, roundings, maxima.

    ``array`` is da4ml's class of arrays; ``hardware`` says what adders there are.
    """

    def __init__(self, array: Any, hardware: Any) -> None:
        self._array, self._hardware = array, hardware

    def constant(self, value: float) -> Any:
        """A number that is the same for every sample."""
        from da4ml.trace import FixedVariable

        return FixedVariable.from_const(value, hwconf=self._hardware)

    def rounded(self, values: Array, number_format: FixedEach) -> Array:
        """Values rounded half up into a format of their own each, and held at its ends."""
        low, high = (np.broadcast_to(end, values.shape) for end in number_format.integer_ranges)
        fractions = np.broadcast_to(number_format.fracs.astype(np.int64), values.shape)
        rows = zip(values.ravel(), low.ravel(), high.ravel(), fractions.ravel(), strict=True)
        found = [self._rounded_one(value, int(a), int(b), int(f)) for value, a, b, f in rows]
        return _objects(found).reshape(values.shape)

    def _rounded_one(self, value: Any, low: int, high: int, fraction: int) -> Any:
        if value.low == value.high:  # da4ml does not round a constant here
            steps = np.floor(float(value.low) * 2.0**fraction + 0.5)
            return self.constant(float(np.clip(steps, low, high)) * 2.0**-fraction)
        if low == high == 0:
            return self.constant(0.0)
        steps = value * 2.0**fraction
        if low == 0:
            steps = steps.relu(None, 0, "RND")
        elif steps.kif[2] > 0:
            _, whole, _ = steps.kif
            steps = steps.quantize(1, whole + 1, 0, "WRAP", "RND")
        steps = steps.max_of(low) if steps.low < low else steps
        steps = steps.min_of(high) if steps.high > high else steps
        return steps * 2.0**-fraction

    def _product(self, read: Array, weight: NDArray[np.float64]) -> Array:
        """Sums [N, O] of values [N, K] and weights [K, O]."""
        used = np.flatnonzero(weight.any(1))
        if not len(used):
            return _objects([self.constant(0.0)] * (len(read) * weight.shape[1])).reshape(len(read), -1)
        rows = self._array(read[:, used], hwconf=self._hardware) @ weight[used]
        found: Array = rows._vars
        return found

    def linear(self, read: Array, weight: Tensor, bias: Tensor | None = None) -> Array:
        """Values times a matrix, with a bias."""
        flat = read.reshape(-1, read.shape[-1])
        sums = self._product(flat, weight.double().numpy().T).reshape(*read.shape[:-1], -1)
        return sums if bias is None else added_or_scaled("add", sums, bias)

    def convolved(
        self,
        read: Array,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Sequence[int] = (1, 1),
        padding: Sequence[int] = (0, 0),
        dilation: Sequence[int] = (1, 1),
        groups: int = 1,
    ) -> Array:
        """Windows of every place, with zeros around the image."""
        numbers = torch.arange(1, read.size + 1, dtype=torch.float64).reshape(read.shape)
        kernel = (int(weight.shape[2]), int(weight.shape[3]))
        windows = F.unfold(
            numbers, kernel, dilation=tuple(dilation), padding=tuple(padding), stride=tuple(stride)
        )
        places = windows[0].long().numpy().T  # [places, channels x kernel]
        values = np.concatenate([_objects([self.constant(0.0)]), read.ravel()])
        read_by, of = places.shape[1] // groups, weight.shape[0] // groups
        matrix = weight.flatten(1).double().numpy()
        sums = np.concatenate(
            [
                self._product(
                    values[places[:, g * read_by : (g + 1) * read_by]], matrix[g * of : (g + 1) * of].T
                )
                for g in range(groups)
            ],
            axis=1,
        )
        height, width = (
            (size + 2 * pad - gap * (side - 1) - 1) // step + 1
            for size, pad, gap, side, step in zip(
                read.shape[2:], padding, dilation, kernel, stride, strict=True
            )
        )
        shaped = sums.T.reshape(1, -1, height, width)
        return shaped if bias is None else added_or_scaled("add", shaped, bias[:, None, None])

    def pooled(self, read: Array, kernel: Sequence[int], stride: Sequence[int] = ()) -> Array:
        """The largest value of each window."""
        numbers = torch.arange(read.size, dtype=torch.float64).reshape(read.shape).movedim(1, 0)
        sides = tuple(kernel) * (2 // len(kernel))
        steps = tuple(stride or kernel) * (2 // len(stride or kernel))
        windows = F.unfold(numbers, sides, stride=steps).long().numpy()  # [channels, kernel, places]
        height, width = ((s - k) // t + 1 for s, k, t in zip(read.shape[2:], sides, steps, strict=True))
        flat, found = read.ravel(), []
        for window in windows.transpose(0, 2, 1).reshape(-1, windows.shape[1]):
            largest = flat[window[0]]
            for other in window[1:]:
                largest = largest.max_of(flat[other])
            found.append(largest)
        return _objects(found).reshape(1, -1, height, width)


def on_each(values: Array, function: Callable[[Any], Any]) -> Array:
    """A function of each number."""
    return _objects([function(value) for value in values.ravel()]).reshape(values.shape)


def added_or_scaled(name: str, values: Array, other: Any) -> Array:
    """``name`` "add": sums with other numbers or constants; "mul": products with constants."""
    beside = other.double().numpy() if isinstance(other, Tensor) else np.asarray(other)
    mine, theirs = np.broadcast_arrays(values, beside)
    rows = zip(mine.ravel(), theirs.ravel(), strict=True)
    found = [a + b if name == "add" else a * float(b) for a, b in rows]
    return _objects(found).reshape(mine.shape)


def _objects(values: Sequence[Any]) -> Array:
    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found
