"""What views, transposes and other moves do to channels: each stays, perhaps at another place."""

from typing import Any

import numpy as np
from torch import fx

from narrower.graph.channels.dimensions import (
    Dimensions,
    Factor,
    flat,
    is_labelled,
    regrouped,
    size_of,
)
from narrower.graph.channels.labelling import Labelling, argument, sizes_of, where
from narrower.graph.nodes import base_name


def same(labelling: Labelling, node: fx.Node) -> Dimensions:
    return labelling.of(node.args[0])


def elementwise(labelling: Labelling, node: fx.Node) -> Dimensions:
    if labelling.depends_on_data(node.all_input_nodes):
        for source in node.all_input_nodes:
            for position in range(len(labelling.of(source))):
                labelling.produce(source, position)
    return labelling.unify(node, [labelling.of(source) for source in node.all_input_nodes])


def view(labelling: Labelling, node: fx.Node) -> Dimensions:
    return labelling.regrouped(node, labelling.of(node.args[0]), sizes_of(node))


def repeat(labelling: Labelling, node: fx.Node) -> Dimensions:
    values, sizes = labelling.of(node.args[0]), sizes_of(node)
    padded = [(Factor(1),)] * (len(sizes) - len(values)) + list(values)
    return tuple(
        (Factor(size, np.tile(flat(own), size // size_of(own))),) if is_labelled(own) else (Factor(size),)
        for own, size in zip(padded, sizes, strict=True)
    )


def channel_shuffle(labelling: Labelling, node: fx.Node) -> Dimensions:
    """The number of groups stays: the n-th channels of all groups move together."""
    values = labelling.of(node.args[0])
    if not is_labelled(values[1]):
        return values
    grid = labelling.merger.tied(values[1], int(argument(node, 1, "groups")))
    return (values[0], (Factor(grid.size, grid.T.ravel()),), *values[2:])


def permute(labelling: Labelling, node: fx.Node) -> Dimensions:
    values = labelling.of(node.args[0])
    return tuple(values[position] for position in node.args[1])  # type: ignore[index, union-attr]


def transpose(labelling: Labelling, node: fx.Node) -> Dimensions:
    values = list(labelling.of(node.args[0]))
    a, b = (-2, -1) if base_name(node) == "t" else (int(node.args[1]), int(node.args[2]))  # type: ignore[arg-type]
    values[a], values[b] = values[b], values[a]
    return tuple(values)


def expand(labelling: Labelling, node: fx.Node) -> Dimensions:
    values, sizes = labelling.of(node.args[0]), sizes_of(node)
    padded = [(Factor(1),)] * (len(sizes) - len(values)) + list(values)
    return tuple(
        dimension if size_of(dimension) == size else (Factor(size, follows=size_of(dimension) == 1),)
        for dimension, size in zip(padded, sizes, strict=True)
    )


def pixel_shuffle(labelling: Labelling, node: fx.Node) -> Dimensions:
    values = labelling.of(node.args[0])
    factor: Any = node.args[1]
    square = factor**2
    split, _ = regrouped(labelling.merger, [values[1]], [size_of(values[1]) // square, square])
    return (values[0], split[0], *((Factor(size),) for size in sizes_of(node)[2:]))


def pixel_unshuffle(labelling: Labelling, node: fx.Node) -> Dimensions:
    values, sizes = labelling.of(node.args[0]), sizes_of(node)
    channels = (*values[1], Factor(sizes[1] // size_of(values[1])))
    return (values[0], channels, *((Factor(size),) for size in sizes[2:]))


def roll(labelling: Labelling, node: fx.Node) -> Dimensions:
    """Also for ``flip``: what stands at a place of a dimension comes from another one."""
    values = labelling.of(node.args[0])
    dims: Any = argument(node, 2, "dims") if base_name(node) == "roll" else node.args[1]
    for dim in dims or range(len(values)):
        labelling.merger.fix(values[dim], f"{base_name(node)}{where(node)} moves it")
    return values


def made(labelling: Labelling, node: fx.Node) -> Dimensions:
    """``zeros(...)`` and ``x.new_zeros(...)``: one number, as often as a trial shows."""
    del labelling
    return tuple((Factor(size, follows=True),) for size in sizes_of(node))
