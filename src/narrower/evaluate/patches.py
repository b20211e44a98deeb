"""What a product reads as rows, and how the error of its outputs follows from its weights alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor, fx
from torch.nn import functional as F

from narrower.graph.arguments import argument
from narrower.graph.nodes import base_name

SAMPLES_AT_ONCE = 16
MOST_ROWS = 2**17  # that are looked at


@dataclass(frozen=True, slots=True)
class Correlations:
    """Of the rows x [R, K] that G groups of outputs read, and of what they should give, t [R, O].

    ``own`` [G, K, K] are the means of x x', ``wanted`` [G, O, K] those of t x', ``squares`` [G, O] of t t.
    """

    own: Tensor
    wanted: Tensor
    squares: Tensor

    @property
    def groups(self) -> int:
        return len(self.own)

    @property
    def power(self) -> Tensor:
        """The mean square of what a group reads, [G, 1]."""
        return self.own.diagonal(dim1=1, dim2=2).mean(1, keepdim=True)

    def errors(self, weights: Tensor) -> Tensor:
        """Mean squared errors [G, O] of the outputs with weights [G, O, K]."""
        wide = weights.to(self.own.dtype)
        return ((wide @ self.own) * wide).sum(-1) - 2 * (wide * self.wanted).sum(-1) + self.squares


def weight_groups(weight: Tensor, groups: int) -> Tensor:
    """Weights [outputs, ...] as [G, O, K]."""
    return weight.reshape(groups, len(weight) // groups, -1)


def correlations(node: fx.Node, x: Tensor, wanted: Tensor, weight: Tensor) -> Correlations:
    """Those of a linear layer or convolution that reads ``x`` and should give ``wanted``, without a bias."""
    groups = 1 if base_name(node) == "linear" else int(argument(node, "groups") or 1)
    inner = weight[0].numel()
    own = x.new_zeros(groups, inner, inner, dtype=torch.float64)
    cross = x.new_zeros(groups, len(weight) // groups, inner, dtype=torch.float64)
    squares = x.new_zeros(groups, len(weight) // groups, dtype=torch.float64)
    rows = 0
    for start in range(0, len(x), SAMPLES_AT_ONCE):
        part = slice(start, start + SAMPLES_AT_ONCE)
        read = _rows(node, x[part], weight, groups)  # [G, R, K]
        given = _outputs(node, wanted[part], groups)  # [G, R, O]
        own += (read.transpose(1, 2) @ read).double()
        cross += (given.transpose(1, 2) @ read).double()
        squares += given.double().square().sum(1)
        rows += read.shape[1]
        if rows >= MOST_ROWS:
            break
    return Correlations(*((total / max(1, rows)).float() for total in (own, cross, squares)))


def _outputs(node: fx.Node, given: Tensor, groups: int) -> Tensor:
    channels = given.movedim(-1 if base_name(node) == "linear" else 1, -1)
    flat = channels.reshape(-1, groups, channels.shape[-1] // groups)
    return flat.transpose(0, 1)


def _rows(node: fx.Node, x: Tensor, weight: Tensor, groups: int) -> Tensor:
    if base_name(node) == "linear":
        return x.reshape(1, -1, x.shape[-1])
    kernel = weight.shape[2:]
    axes = len(kernel)
    stride, dilation = (_each(argument(node, name), axes) for name in ("stride", "dilation"))
    x = F.pad(x, list(chain.from_iterable(reversed(_padding(node, kernel, dilation)))))
    for axis, (size, step, apart) in enumerate(zip(kernel, stride, dilation, strict=True)):
        x = x.unfold(2 + axis, (size - 1) * apart + 1, step)[..., ::apart]
    # [N, C, places..., kernel...] to [N, places..., G, C / G, kernel...]
    order = [0, *range(2, 2 + axes), 1, *range(2 + axes, 2 + 2 * axes)]
    rows = x.permute(order).reshape(-1, groups, weight[0].numel())
    return rows.transpose(0, 1)


def _padding(node: fx.Node, kernel: Sequence[int], dilation: Sequence[int]) -> list[tuple[int, int]]:
    """Before and after, of each axis."""
    given = argument(node, "padding")
    if given == "valid":
        return [(0, 0)] * len(kernel)
    if given == "same":
        added = [(size - 1) * apart for size, apart in zip(kernel, dilation, strict=True)]
        return [(size // 2, size - size // 2) for size in added]
    return [(size, size) for size in _each(given, len(kernel))]


def _each(given: object, axes: int) -> Sequence[int]:
    assert isinstance(given, list | tuple)
    return [int(size) for size in given] * (axes if len(given) == 1 else 1)
