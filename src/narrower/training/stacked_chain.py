"""Candidates that are chains of known layers, without the machinery of ``vmap``: it takes longer than a step.

Shapes in names: c candidates, n samples, i inputs and o outputs. What goes from layer to layer is [C, N, ...]
in one piece of memory: operations on tensors of different layouts are many times as slow.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from narrower.training.chain_of_layers import CONVOLUTIONS, names_of_chain
from narrower.transform.quantizers.stacked_fixed import FixedTensors, round_stacked

Stacked = Callable[[str], Tensor]  # from the name of a parameter or buffer to that of all candidates
Step = Callable[[Tensor], Tensor]


def chain_steps(
    model: nn.Module,
    example: Sequence[Tensor],
    stacked: Stacked,
    data: Mapping[str, FixedTensors],
    count: int,
) -> list[Step] | None:
    """What is done with samples [C, N, ...], layer by layer; None where the model is no such chain."""
    names = names_of_chain(model, example[0]) if len(example) == 1 else None
    if names is None:
        return None
    steps: list[Step] = []
    for name in names:
        if name in data:
            steps.append(_rounding(data[name]))
        steps.append(_step(name, model.get_submodule(name), stacked, count))
    return steps


def _rounding(formats: FixedTensors) -> Step:
    return lambda x_cn: round_stacked(x_cn, formats)


def _step(name: str, layer: Any, stacked: Stacked, count: int) -> Step:
    def held(operand: str) -> Tensor:
        return stacked(f"{name}.{operand}")

    if isinstance(layer, nn.Linear):
        if layer.bias is None:
            return lambda x: torch.bmm(x, held("weight").transpose(1, 2))
        return lambda x: torch.baddbmm(held("bias")[:, None], x, held("weight").transpose(1, 2))
    if isinstance(layer, nn.Conv1d | nn.Conv2d):
        return lambda x: _convolution(layer, held, x)
    if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
        return lambda x: _batch_norm(layer, held, x)
    if isinstance(layer, nn.Flatten):
        return lambda x: x.flatten(2)
    if isinstance(layer, nn.ReLU):
        return torch.relu
    return lambda x: layer(x.flatten(0, 1)).unflatten(0, (count, x.shape[1]))


def _convolution(layer: nn.Conv1d | nn.Conv2d, held: Stacked, x: Tensor) -> Tensor:
    """One convolution with a group for each candidate."""
    bias = None if layer.bias is None else held("bias").flatten()
    result = CONVOLUTIONS[type(layer)](
        _side_by_side(x),
        held("weight").flatten(0, 1),
        bias,
        layer.stride,
        layer.padding,
        layer.dilation,
        len(x),
    )
    return _apart(result, len(x))


def _batch_norm(layer: nn.BatchNorm1d | nn.BatchNorm2d, held: Stacked, x: Tensor) -> Tensor:
    """The channels of all candidates side by side are those of one norm."""
    if layer.training:
        held("num_batches_tracked").add_(1)
    assert layer.momentum is not None  # names_of_chain
    normal = F.batch_norm(
        _side_by_side(x),
        held("running_mean").view(-1),
        held("running_var").view(-1),
        held("weight").flatten(),
        held("bias").flatten(),
        layer.training,
        layer.momentum,
        layer.eps,
    )
    return _apart(normal, len(x))


def _side_by_side(x: Tensor) -> Tensor:
    """[C, N, I, ...] as [N, C * I, ...]."""
    return x.transpose(0, 1).flatten(1, 2)


def _apart(x: Tensor, candidates: int) -> Tensor:
    """[N, C * I, ...] as [C, N, I, ...], in one piece."""
    apart: Tensor = x.unflatten(1, (candidates, -1))  # type: ignore[no-untyped-call]
    return apart.transpose(0, 1).contiguous()
