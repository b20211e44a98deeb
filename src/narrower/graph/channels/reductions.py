"""What is left of channels behind pooling, sums over a dimension, and softmax."""

from typing import Any

from torch import fx

from narrower.graph.channels.dimensions import (
    Dimensions,
    Factor,
    size_of,
)
from narrower.graph.channels.labelling import Labelling, given, int_size, where
from narrower.graph.channels.moves import elementwise
from narrower.graph.nodes import base_name


def pool(labelling: Labelling, node: fx.Node) -> Any:
    values, sizes = labelling.of(node.args[0]), None
    value = node.meta["val"]
    first = value[0] if isinstance(value, list | tuple) else value
    sizes = [int_size(size) for size in first.shape]
    kept = tuple(
        dimension if size_of(dimension) == size else (Factor(size),)
        for dimension, size in zip(values, sizes, strict=True)
    )
    return (kept, kept) if isinstance(value, list | tuple) else kept


def reduce(labelling: Labelling, node: fx.Node) -> Any:
    values = labelling.of(node.args[0])
    named = given(node)
    if "other" in named:  # the larger of two tensors
        return elementwise(labelling, node)
    dims, keep = named.get("dim"), bool(named.get("keepdim", False))
    listed = [dims] if isinstance(dims, int) else list(dims) if dims else list(range(len(values)))
    reduced = {position % len(values) for position in listed}
    for position in reduced:
        labelling.notes.append((values[position], f"{base_name(node)}{where(node)} goes over it"))
    result = tuple(
        (Factor(1),) if position in reduced else dimension
        for position, dimension in enumerate(values)
        if position not in reduced or keep
    )
    return (result, result) if isinstance(node.meta["val"], list | tuple) else result


def softmax(labelling: Labelling, node: fx.Node) -> Dimensions:
    values = labelling.of(node.args[0])
    labelling.notes.append((values[int(node.args[1])], f"softmax{where(node)} goes over it"))  # type: ignore[arg-type]
    return values
