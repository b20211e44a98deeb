"""Layers of several candidates as one: one batched product for all of them.

Shapes in names: c candidates, n samples, i inputs and o outputs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from narrower.training.chain_of_layers import CONVOLUTIONS

# Numbers that are computed at once. Libraries round what is left over, or unaligned, in another way: so rows
# of channels have whole lanes.
LANES = 16


@dataclass(frozen=True, slots=True)
class StackedLayer:
    """One layer of all candidates: what is trained, and how each gets back what is its own."""

    parameters: tuple[Tensor, ...]
    forward: Callable[[Tensor], Tensor]
    write_back: Callable[[int], None]  # takes the number of steps


def stacked_layers(
    chains: Sequence[list[nn.Module]], lanes: int, start: int, stop: int | None = None
) -> list[StackedLayer]:
    """The layers from ``start`` to ``stop``, each of all chains."""
    stacked = []
    for position in range(len(chains[0]))[start:stop]:
        is_new = position > 0 and isinstance(chains[0][position - 1], nn.Linear)
        stacked.append(_stack(tuple(chain[position] for chain in chains), lanes, is_new=is_new))
    return stacked


def through(layers: Sequence[StackedLayer], x_cni: Tensor) -> Tensor:
    """What layers give, one after the other."""
    for layer in layers:
        x_cni = layer.forward(x_cni)
    return x_cni


def as_one(parameters: Sequence[Tensor]) -> Tensor:
    """One tensor that all parameters become views of, as their gradients do of its own: one step for all."""
    whole = torch.cat([parameter.detach().flatten() for parameter in parameters])
    whole.grad = torch.zeros_like(whole)
    start = 0
    for parameter in parameters:
        part = slice(start, start + parameter.numel())
        parameter.data = whole[part].view_as(parameter)
        parameter.grad = whole.grad[part].view_as(parameter)
        start = part.stop
    return whole


def _stack(same: tuple[nn.Module, ...], lanes: int, *, is_new: bool) -> StackedLayer:
    """One layer of several chains; ``is_new``: nothing else reads what goes in, so it may be overwritten."""
    first = same[0]
    if isinstance(first, nn.Linear):
        return _stack_products(same, lanes, _linear)
    if isinstance(first, nn.Conv1d | nn.Conv2d):
        return _stack_products(same, lanes, _convolution(first))
    if isinstance(first, nn.BatchNorm1d | nn.BatchNorm2d):
        return _stack_batch_norm(same, lanes, first)
    if isinstance(first, nn.Flatten):
        return StackedLayer((), lambda x: x.flatten(2), lambda _steps: None)
    if isinstance(first, nn.ReLU):
        return StackedLayer((), torch.relu_ if is_new else torch.relu, lambda _steps: None)
    return StackedLayer(
        (), lambda x: first(x.flatten(0, 1)).unflatten(0, (len(same), x.shape[1])), lambda _steps: None
    )


def filled_shape(shape: Sequence[int], lanes: int) -> tuple[int, ...]:
    """The sizes of a parameter with widths that are powers of two; those of a kernel stay."""
    return (*(max(lanes, 1 << (size - 1).bit_length()) for size in shape[:2]), *shape[2:])


class _Leaf:
    """One parameter of all candidates, [C, ...], zero where a candidate's own is smaller; perhaps turned."""

    def __init__(self, name: str, same: Sequence[nn.Module], lanes: int, *, turned: bool = False) -> None:
        held: list[Tensor] = [getattr(layer, name).detach() for layer in same]
        self._own = [tensor.T for tensor in held] if turned else held
        self.shape = (len(same), *filled_shape(self._own[0].shape, lanes))
        count = prod(self.shape)
        flat = self._own[0].new_zeros(-(-count // LANES) * LANES)
        self.trained = flat if flat.numel() > count else flat.view(self.shape)
        for row, tensor in zip(self.stacked, self._own, strict=True):
            row[tuple(slice(size) for size in tensor.shape)] = tensor.detach()

    @property
    def stacked(self) -> Tensor:
        """The tensor [C, ...] that is trained, without the lanes that it is filled up with."""
        if self.trained.shape == self.shape:
            return self.trained
        return self.trained[: prod(self.shape)].view(self.shape)

    def write_back(self) -> None:
        """Give each candidate what is its own."""
        with torch.no_grad():
            for row, tensor in zip(self.stacked, self._own, strict=True):
                tensor.copy_(row[tuple(slice(size) for size in tensor.shape)])


Product = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def _stack_products(same: Sequence[nn.Module], lanes: int, product: Product) -> StackedLayer:
    is_linear = product is _linear  # its weights are held as [C, I, O], the way that the product reads them
    weight = _Leaf("weight", same, lanes, turned=is_linear)
    bias = _Leaf("bias", same, lanes) if same[0].bias is not None else None
    leaves = [weight] if bias is None else [weight, bias]

    def write_back(_steps: int) -> None:
        for leaf in leaves:
            leaf.write_back()

    return StackedLayer(
        tuple(leaf.trained.requires_grad_() for leaf in leaves),
        lambda x: product(
            _filled(x, weight.shape[1 if is_linear else 2]),
            weight.stacked,
            None if bias is None else bias.stacked,
        ),
        write_back,
    )


def _linear(x_cni: Tensor, weight_cio: Tensor, bias_co: Tensor | None) -> Tensor:
    if bias_co is None:
        return torch.bmm(x_cni, weight_cio)
    return torch.baddbmm(bias_co[:, None], x_cni, weight_cio)


def _convolution(layer: nn.Conv1d | nn.Conv2d) -> Product:
    convolve = CONVOLUTIONS[type(layer)]

    def product(x: Tensor, weight: Tensor, bias_co: Tensor | None) -> Tensor:
        """One convolution with a group for each candidate."""
        candidates = len(x)
        bias = None if bias_co is None else bias_co.flatten()
        result = convolve(
            _side_by_side(x),
            weight.flatten(0, 1),
            bias,
            layer.stride,
            layer.padding,
            layer.dilation,
            candidates,
        )
        return _apart(result, candidates)

    return product


def _filled(x: Tensor, channels: int) -> Tensor:
    """[C, N, I, ...] with as many channels: zeros are added, or filling is left out."""
    missing = channels - x.shape[2]
    return F.pad(x, (*(0 for _ in range(2 * (x.dim() - 3))), 0, missing)) if missing else x


def _side_by_side(x: Tensor) -> Tensor:
    """[C, N, I, ...] as [N, C * I, ...]."""
    return x.transpose(0, 1).flatten(1, 2)


def _apart(x: Tensor, candidates: int) -> Tensor:
    """[N, C * I, ...] as [C, N, I, ...]."""
    apart: Tensor = x.unflatten(1, (candidates, -1)).transpose(0, 1)  # type: ignore[no-untyped-call]
    return apart


def _stack_batch_norm(
    same: Sequence[nn.Module], lanes: int, first: nn.BatchNorm1d | nn.BatchNorm2d
) -> StackedLayer:
    weight, bias, mean, variance = leaves = [
        _Leaf(name, same, lanes) for name in ("weight", "bias", "running_mean", "running_var")
    ]
    momentum, eps = first.momentum, first.eps
    assert momentum is not None  # chain_of_layers.py

    def forward(x: Tensor) -> Tensor:
        x_nk = _side_by_side(_filled(x, weight.shape[1]))  # K = candidates x channels
        normal = F.batch_norm(
            x_nk,
            mean.stacked.flatten(),
            variance.stacked.flatten(),
            weight.stacked.flatten(),
            bias.stacked.flatten(),
            True,
            momentum,
            eps,
        )
        return _apart(normal, len(x))

    def write_back(steps: int) -> None:
        for leaf in leaves:
            leaf.write_back()
        for layer in same:
            layer.num_batches_tracked += steps  # type: ignore[assignment, operator] # a tensor: chain_of_layers.py

    return StackedLayer((weight.trained.requires_grad_(), bias.trained.requires_grad_()), forward, write_back)
