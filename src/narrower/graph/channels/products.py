"""What products do to the channels of their operands."""

from typing import Any

import numpy as np
from torch import fx

from narrower.errors import ModelError
from narrower.graph.channels.dimensions import (
    Dimension,
    Dimensions,
    Factor,
    flat,
    is_labelled,
    size_of,
)
from narrower.graph.channels.labelling import Labelling, argument, sizes_of, where
from narrower.graph.nodes import base_name


def linear(labelling: Labelling, node: fx.Node) -> Dimensions:
    x, weight, bias = node.args[0], node.args[1], argument(node, 2, "bias")
    values = labelling.of(x)
    labelling.mark_multiplied(weight)
    labelling.bind(weight, 1, values[-1])
    labelling.consume(weight, 1)
    labelling.produce(weight, 0)
    if isinstance(x, fx.Node) and all(factor.follows for factor in values[-1]):
        labelling.values[x.name] = (*values[:-1], labelling.of(weight)[1])  # zeros, as many as are read
    outputs = labelling.of(weight)[0]
    labelling.bind(bias, 0, outputs)
    return (*values[:-1], outputs)


def convolution(labelling: Labelling, node: fx.Node) -> Dimensions:
    x, bias = node.args[0], argument(node, 2, "bias")
    weight: Any = node.args[1]
    base = base_name(node)
    transposed = base.startswith("conv_transpose") or (base == "convolution" and bool(node.args[6]))
    groups = {"convolution": (8, "groups")}.get(base, (6, "groups"))
    count = int(argument(node, *groups, 1) or 1)
    if count == 1:
        labelling.mark_multiplied(weight)
    labelling.mark_kernel(weight)
    values, sizes = labelling.of(x), sizes_of(node)
    own, other = (1, 0) if transposed else (0, 1)
    held = weight.meta["val"].shape
    labelling.produce(weight, own)
    if count == 1:
        labelling.bind(weight, other, values[1])
        labelling.consume(weight, other)
        outputs = labelling.of(weight)[own]
    elif transposed and held[0] == count and held[1] == 1:  # depthwise
        labelling.bind(weight, 0, values[1])
        outputs = values[1]
    elif not transposed and held[1] == 1:  # depthwise
        per_channel = int(held[0]) // count
        labels = np.repeat(flat(values[1]), per_channel) if is_labelled(values[1]) else None
        labelling.bind(weight, 0, (Factor(count * per_channel, labels),))
        outputs = labelling.of(weight)[0]
    else:
        outputs = _grouped(labelling, values[1], weight, own, other, count)
    labelling.bind(bias, 0, outputs)
    return (values[0], outputs, *((Factor(size),) for size in sizes[2:]))


def _grouped(
    labelling: Labelling, channels: Dimension, weight: Any, own: int, other: int, count: int
) -> Dimension:
    """The number of groups stays: the n-th channels of all groups move together."""
    merger = labelling.merger
    labelling.consume(weight, other)
    if is_labelled(channels):
        grid = merger.tied(channels, count)
        if other == 1:
            labelling.bind(weight, 1, (Factor(grid.shape[1], grid[0]),))
        else:
            labelling.bind(weight, 0, (Factor(grid.size, grid.ravel()),))
    else:
        labelling.bind(weight, other, (Factor(int(weight.meta["val"].shape[other])),))
    outputs = labelling.of(weight)[own]
    if own == 0:
        merger.tied(outputs, count)
        return outputs
    labels = outputs[0].labels
    return (Factor(size_of(outputs) * count, None if labels is None else np.tile(labels, count)),)


def embedding(labelling: Labelling, node: fx.Node) -> Dimensions:
    weight, indices = labelling.of(node.args[0]), labelling.of(node.args[1])
    labelling.merger.fix(weight[0], "it counts the entries of an embedding")
    labelling.produce(node.args[0], 1)
    return (*indices, weight[1])


def attention(labelling: Labelling, node: fx.Node) -> Dimensions:
    query, key, value = (labelling.of(source) for source in node.args[:3])
    labelling.merger.unite(query[-1], key[-1], "attention multiplies it with what has a fixed size")
    batch = labelling.unify(node, [operand[:-2] for operand in (query, key, value)])
    for operand in (query, key):
        labelling.notes.append((operand[-1], f"attention{where(node)} sums over it"))
    return (*batch, query[-2], value[-1])


def matmul(labelling: Labelling, node: fx.Node) -> Dimensions:
    operands = node.args[1:3] if base_name(node) in ("addmm", "baddbmm") else node.args[:2]
    a, b = (labelling.of(operand) for operand in operands)
    if len(a) < 2 or len(b) < 2:  # noqa: PLR2004
        raise ModelError("a product with a vector")
    labelling.merger.unite(a[-1], b[-2], "it is multiplied with what has a fixed size")
    for operand, own, other in ((operands[0], -2, -1), (operands[1], -1, -2)):
        rank = len(labelling.of(operand))
        labelling.produce(operand, rank + own)
        labelling.consume(operand, rank + other)
    labelling.notes.append((a[-1], f"{base_name(node)}{where(node)} sums over it"))
    batch = labelling.unify(node, [a[:-2], b[:-2]])
    result = (*batch, a[-2], b[-1])
    if base_name(node) in ("addmm", "baddbmm"):
        return labelling.unify(node, [result, labelling.of(node.args[0])])
    return result


def weight_norm(labelling: Labelling, node: fx.Node) -> Dimensions:
    values, dim = labelling.of(node.args[0]), int(argument(node, 2, "dim", 0))
    labelling.bind(node.args[1], dim, values[dim])
    for position, dimension in enumerate(values):
        if position != dim:
            labelling.notes.append((dimension, f"weight norm{where(node)} sums over it"))
    return values
