"""Normalisations whose statistics are those of the sample, as ONNX operators."""

from typing import Any

import numpy as np
import torch
from torch import fx

from narrower.errors import ExportError
from narrower.export.operators.reductions import reduced
from narrower.export.operators.translation import Rule, Translation, rank_of, sizes_of, whole_size
from narrower.graph.arguments import argument


def _layer_norm(t: Translation, node: fx.Node) -> str:
    shape = list(argument(node, "normalized_shape"))
    scale, shift = (
        _constant(t, argument(node, "weight"), shape, 1),
        _constant(t, argument(node, "bias"), shape, 0),
    )
    eps = float(argument(node, "eps"))
    return t.emit("LayerNormalization", t.name(node.args[0]), scale, shift, axis=-len(shape), epsilon=eps)


def _constant(t: Translation, given: object, shape: list[int], otherwise: float) -> str:
    """A scale or shift, or what changes nothing."""
    return t.name(given) if given is not None else t.builder.constant(np.full(shape, otherwise, np.float32))


def _rms_norm(t: Translation, node: fx.Node) -> str:
    """``x / sqrt(mean(x**2) + eps) * weight`` (Zhang and Sennrich 2019, eq. 4)."""
    x, shape = t.name(node.args[0]), list(argument(node, "normalized_shape"))
    eps, weight = argument(node, "eps"), argument(node, "weight")
    eps = torch.finfo(torch.float32).eps if eps is None else eps
    mean = reduced(t, "ReduceMean", t.emit("Mul", x, x), [-1 - i for i in range(len(shape))], keeps=True)
    scale = t.emit("Div", t.number(1), t.emit("Sqrt", t.emit("Add", mean, t.number(eps))))
    normed = t.emit("Mul", x, scale)
    return normed if weight is None else t.emit("Mul", normed, t.name(weight))


def _group_norm(t: Translation, node: fx.Node) -> str:
    """Each group of channels as one channel of an instance norm, then scale and shift by channel."""
    x, groups = node.args[0], int(argument(node, "num_groups"))
    rows = t.emit("Reshape", t.name(x), t.integers(0, groups, -1))
    ones, zeros = (t.builder.constant(np.full(groups, value, np.float32)) for value in (1, 0))
    normed = t.emit("InstanceNormalization", rows, ones, zeros, epsilon=float(argument(node, "eps")))
    value = t.emit("Reshape", normed, t.sizes([-1, *(whole_size(x, axis) for axis in range(1, rank_of(x)))]))
    for operator, name in (("Mul", "weight"), ("Add", "bias")):
        if (given := argument(node, name)) is not None:
            value = t.emit(operator, value, _column(t, given, rank_of(x)))
    return value


def _column(t: Translation, given: object, rank: int) -> str:
    """Numbers by channel, beside values [N, C, ...]."""
    shaped = t.tensor(given).reshape(-1, *(1 for _ in range(rank - 2)))
    return t.builder.constant(shaped.numpy())


def _instance_norm(t: Translation, node: fx.Node) -> str:
    if not argument(node, "use_input_stats"):
        raise ExportError(f"no rule for an instance norm with running statistics ({node.name})")
    channels = [int(sizes_of(node.args[0])[1])]
    scale, shift = (
        _constant(t, argument(node, name), channels, otherwise)
        for name, otherwise in (("weight", 1), ("bias", 0))
    )
    x: Any = node.args[0]
    eps = float(argument(node, "eps"))
    return t.emit("InstanceNormalization", t.name(x), scale, shift, epsilon=eps)


NORMS: dict[str, Rule] = {
    "layer_norm": _layer_norm,
    "rms_norm": _rms_norm,
    "group_norm": _group_norm,
    "instance_norm": _instance_norm,
}
