"""A tensor as rows that share a scale, and back."""

import torch
from torch import Tensor

from narrower.plan.formats.parts import GROUPS


def rows_of(x: Tensor, per: str, axis: int) -> Tensor:
    """The parts [parts, numbers] of a tensor; groups that are not full end in zeros."""
    if per == "tensor" or x.dim() == 0:
        return x.reshape(1, -1)
    channels = x.movedim(_axis(x, axis), 0).reshape(x.shape[_axis(x, axis)], -1)
    if per == "channel":
        return channels
    size = GROUPS[per]
    missing = -channels.shape[1] % size
    return torch.nn.functional.pad(channels, (0, missing)).reshape(-1, size)


def from_rows(rows: Tensor, like: Tensor, per: str, axis: int) -> Tensor:
    """The tensor of such parts, in the shape of ``like``."""
    if per == "tensor" or like.dim() == 0:
        return rows.reshape(like.shape)
    moved = like.movedim(_axis(like, axis), 0)
    channels = rows.reshape(len(moved), -1)[:, : like.numel() // max(1, len(moved))]
    return channels.reshape(moved.shape).movedim(0, _axis(like, axis)).contiguous()


def _axis(x: Tensor, axis: int) -> int:
    return axis if -x.dim() <= axis < x.dim() else 0
