"""What operators that move values do to one sample: asked of the operators themselves, on positions."""

from math import prod
from typing import Any

import torch
from torch import Tensor, fx

from narrower.errors import ExportError, ModelError
from narrower.export.device.source import View
from narrower.graph.network import BatchSize
from narrower.graph.nodes import base_name, shape_of

MOVING = frozenset(
    {
        "reshape", "view", "_unsafe_view", "flatten", "unflatten", "squeeze", "unsqueeze", "permute",
        "transpose", "t", "slice", "select", "narrow", "expand", "alias", "clone", "contiguous", "detach",
        "dropout", "lift_fresh_copy", "numpy_T", "movedim", "_to_copy",
    }
)  # fmt: skip
COPYING = frozenset({"clone", "contiguous", "_to_copy", "lift_fresh_copy"})
VIEWS = frozenset({"view", "_unsafe_view"})  # of memory whose order the network's C need not have


def sample_shape(node: fx.Node) -> tuple[int, ...]:
    """The shape of a value without its first dimension, which must be the batch.

    Raises:
        ExportError: it is not.
    """
    try:
        sizes = shape_of(node)
    except ModelError as error:
        raise ExportError(f"{error}; C runs one sample at a time") from error
    rest = [size for size in sizes[1:] if isinstance(size, int)]
    if sizes[:1] != (BatchSize(),) or len(rest) + 1 != len(sizes):
        raise ExportError(f"{node.name}: its shape mixes samples; C runs one sample at a time")
    return tuple(rest)


def moved(view: View, node: fx.Node, arguments: tuple[Any, ...]) -> View | None:
    """What an operator that moves values shows of one sample; None where it has to copy.

    ``arguments`` are those of the node for a batch of one, with None in the place of the value.
    """
    reach = (
        1 + view.offset + sum((size - 1) * step for size, step in zip(view.shape, view.strides, strict=True))
    )
    held = torch.empty(max(reach, 1), dtype=torch.int8)
    batch = max(reach, 1)
    x = held.as_strided((1, *view.shape), (batch, *view.strides), view.offset)
    if base_name(node) in COPYING:
        return view
    given = [x if argument is None else argument for argument in arguments]
    if base_name(node) == "dropout":
        return view
    target: Any = torch.reshape if base_name(node) in VIEWS else node.target
    result = target(*given, **node.kwargs)
    if not isinstance(result, Tensor) or result.shape[:1] != (1,):
        raise ExportError(f"{node.name}: moves values between samples; C runs one sample at a time")
    if result.untyped_storage().data_ptr() != held.untyped_storage().data_ptr():
        return None
    shape = tuple(result.shape[1:])
    strides = tuple(int(step) for step in result.stride()[1:])
    assert prod(shape) or not shape
    return View(view.buffer, shape, strides, int(result.storage_offset()), view.number)
