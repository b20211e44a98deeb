"""Products of 8-bit operands as products of 8-bit integers: the same float32 numbers, sooner.

Rounded operands are whole numbers times a power of two. While no sum of their products passes 2**24, float32
holds every partial sum, and integers give the same result in any order. Processors with instructions for dot
products of bytes form it several times faster.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from narrower.evaluate.chain import FINEST_PRODUCT
from narrower.evaluate.processor import multiplies_bytes_fast
from narrower.evaluate.sample_engine import is_finite
from narrower.evaluate.steps import Steps
from narrower.evaluate.value_cache import ValueCache
from narrower.plan.formats.grid import LARGEST_WHOLE, Grid
from narrower.plan.formats.number_format import NumberFormat

aten = torch.ops.aten
CONVOLUTION = (
    "input",
    "weight",
    "bias",
    "stride",
    "padding",
    "dilation",
    "groups",
)  # arguments of aten.conv2d
TRIES = 2  # of each way, before the faster one is taken
NONE = torch.empty(0, dtype=torch.int8)  # there are no such integers

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Window:
    """What an element of a convolution's result reads."""

    stride: Pair
    padding: Pair
    dilation: Pair


@dataclass(frozen=True, slots=True)
class Operands:
    """A value and a weight that were rounded to a grid, of a linear layer or of a convolution.

    In shapes, N are the elements of one channel of the result, O its channels, K what one element reads.
    """

    value: Tensor
    weight: Tensor
    value_format: NumberFormat
    weight_format: NumberFormat
    window: Window | None

    def matrix(self) -> Tensor:
        """The weight in integers [K, O]; empty where a sum could pass what float32 holds."""
        integers = self.weight.mul(2.0 ** _grid(self.weight_format).frac)
        largest_sum = (
            integers.flatten(1).abs().sum(dim=1, dtype=torch.float64).max() * _grid(self.value_format).largest
        )
        if not float(largest_sum) <= LARGEST_WHOLE:
            return NONE
        if self.window is not None:
            integers = integers.permute(0, 2, 3, 1)
        return _bytes(integers.flatten(1).t())

    def rows(self) -> Tensor:
        """What each element of the result reads, in integers [N, K]; empty where a value is NaN."""
        if not is_finite(self.value):
            return NONE
        integers = self.value.mul(2.0 ** _grid(self.value_format).frac)
        if self.window is None:
            return _bytes(integers.reshape(-1, self.value.shape[-1]))
        samples, channels, height, width = self.value.shape
        above, left = self.window.padding
        padded = torch.zeros(samples, height + 2 * above, width + 2 * left, channels, dtype=torch.int8)
        padded[:, above : above + height, left : left + width] = integers.permute(0, 2, 3, 1)
        of_sample, of_row, of_column, of_channel = padded.stride()
        (down, right), (rows_apart, columns_apart) = self.window.stride, self.window.dilation
        read = padded.as_strided(
            (samples, *self._size(self.window), *self.weight.shape[2:], channels),
            (
                of_sample,
                of_row * down,
                of_column * right,
                of_row * rows_apart,
                of_column * columns_apart,
                of_channel,
            ),
        )
        return _bytes(read).view(-1, self.weight[0].numel())

    def product(self, rows: Tensor, matrix: Tensor) -> Tensor:
        """The result in float32, from rows [N, K] and a matrix [K, O]."""
        sums = torch._int_mm(rows, matrix)
        step = _grid(self.value_format).step * _grid(self.weight_format).step
        channels = len(self.weight)
        if self.window is None:
            return sums.float().mul_(step).view(*self.value.shape[:-1], channels)
        samples = len(self.value)
        result = torch.empty(samples, channels, *self._size(self.window))
        result.flatten(2).copy_(sums.view(samples, -1, channels).transpose(1, 2))
        return result.mul_(step)

    def _size(self, window: Window) -> Pair:
        height, width = (
            (size + 2 * padding - dilation * (taps - 1) - 1) // stride + 1
            for size, padding, dilation, taps, stride in zip(
                self.value.shape[2:],
                window.padding,
                window.dilation,
                self.weight.shape[2:],
                window.stride,
                strict=True,
            )
        )
        return height, width


class IntegerProducts:
    """The products of a program in integers, where that is exact and faster.

    Both ways give the same bits, so that a stopwatch may choose: each product is tried once in both.
    """

    def __init__(
        self,
        steps: Steps,
        weights: ValueCache,
        clock: Callable[[], float] = time.perf_counter,
        device: str = "cpu",
    ) -> None:
        self._steps, self._weights, self._clock = steps, weights, clock
        self._windows = _windows(steps) if device == "cpu" and can_win() else {}
        self._is_faster: dict[int, bool] = {}

    def run(
        self,
        index: int,
        values: Mapping[int, Any],
        formats: Sequence[NumberFormat],
        names: Sequence[int],
        held: ValueCache,
    ) -> Tensor | None:
        """The value of a step; None where it is to be computed in float32.

        What the product reads is ``held`` by the name of the value, for plans with other weights.
        """
        if index not in self._windows or not self._is_faster.get(index, True):
            return None
        operands = self._operands(index, values, formats)
        if operands is None:
            return None
        matrix = self._matrix(index, operands)
        if not len(matrix):
            return None
        if index not in self._is_faster:
            return self._tried(index, operands, matrix, values, formats)
        key = names[self._steps.steps[index].inputs[0]], index
        rows = held.get(key)
        if rows is None:
            rows = operands.rows()
            held.put(key, rows, frozenset(names))
        return operands.product(rows, matrix) if len(rows) else None

    def _operands(
        self, index: int, values: Mapping[int, Any], formats: Sequence[NumberFormat]
    ) -> Operands | None:
        steps = self._steps.steps
        data, weight = steps[index].inputs
        slots = steps[data].slot, steps[weight].slot
        assert slots[0] is not None
        assert slots[1] is not None
        value_format, weight_format = formats[slots[0]], formats[slots[1]]
        value_grid, weight_grid = value_format.grid, weight_format.grid
        if value_grid is None or weight_grid is None or not _are_bytes(value_grid, weight_grid):
            return None
        if abs(value_grid.frac + weight_grid.frac) > FINEST_PRODUCT:
            return None
        operands = Operands(values[data], values[weight], value_format, weight_format, self._windows[index])
        is_batched = operands.window is None or operands.value.dim() == operands.weight.dim()
        return operands if is_batched and operands.value.dtype == torch.float32 else None

    def _matrix(self, index: int, operands: Operands) -> Tensor:
        key = index, operands.weight_format, operands.value_format
        matrix: Tensor | None = self._weights.get(key)
        if matrix is None:
            matrix = operands.matrix()
            self._weights.put(key, matrix)
        return matrix

    def _tried(
        self,
        index: int,
        operands: Operands,
        matrix: Tensor,
        values: Mapping[int, Any],
        formats: Sequence[NumberFormat],
    ) -> Tensor | None:
        """Compute a step both ways and remember which is faster; one that differs is never taken."""
        if not len(operands.rows()):
            return None
        seconds, result = self._fastest(lambda: self._steps.run(index, values, formats))
        in_integers, same = self._fastest(lambda: operands.product(operands.rows(), matrix))
        self._is_faster[index] = in_integers < seconds and torch.equal(result, same)
        return result

    def _fastest(self, compute: Callable[[], Tensor]) -> tuple[float, Tensor]:
        times = []
        for _ in range(TRIES):
            started = self._clock()
            result = compute()
            times.append(self._clock() - started)
        return min(times), result


def can_win() -> bool:
    """Whether products in integers are worth a try: where they are slow, one costs more than all else."""
    return multiplies_bytes_fast() and multiplies_bytes()


@cache
def multiplies_bytes() -> bool:
    """Whether matrices of bytes are multiplied exactly here; older processors saturate pairs of products."""
    rows = torch.full((32, 64), 127, dtype=torch.int8)
    rows[::2] = -128
    columns = torch.full((64, 32), 127, dtype=torch.int8)
    columns[:, ::2] = -128
    try:
        found = torch._int_mm(rows, columns)
    except (AttributeError, RuntimeError):
        return False
    return torch.equal(found.long(), rows.long() @ columns.long())


def _windows(steps: Steps) -> dict[int, Window | None]:
    """The steps that multiply a rounded value and a rounded weight; the window of a convolution."""
    found: dict[int, Window | None] = {}
    for index, step in enumerate(steps.steps):
        if len(step.inputs) != 2 or step.keywords or any(steps.steps[i].slot is None for i in step.inputs):  # noqa: PLR2004
            continue
        if step.function is aten.linear.default:
            found[index] = None
        elif step.function is aten.conv2d.default:
            given = dict(zip(CONVOLUTION, step.arguments, strict=False))
            if given.get("groups", 1) == 1:
                found[index] = Window(
                    _pair(given.get("stride", (1,))),
                    _pair(given.get("padding", (0,))),
                    _pair(given.get("dilation", (1,))),
                )
    return found


def _bytes(integers: Tensor) -> Tensor:
    """A copy row by row in memory, also along dimensions of size 1: oneDNN looks at their strides."""
    return torch.empty(integers.shape, dtype=torch.int8).copy_(integers)


def _pair(given: Sequence[int]) -> Pair:
    return given[0], given[-1]


def _grid(number_format: NumberFormat) -> Grid:
    grid = number_format.grid
    assert grid is not None
    return grid


def _are_bytes(*grids: Grid) -> bool:
    """Whether all numbers of some grids are signed bytes."""
    limits = torch.iinfo(torch.int8)
    return all(grid.low >= limits.min and grid.high <= limits.max for grid in grids)
