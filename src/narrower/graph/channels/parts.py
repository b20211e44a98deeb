"""What concatenating, splitting, slicing and writing into do to rows of channels."""

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
from narrower.graph.channels.labelling import BATCH, Labelling, argument, int_size, sizes_of, where
from narrower.graph.channels.norms import NORMS
from narrower.graph.nodes import base_name


def cat(labelling: Labelling, node: fx.Node) -> Dimensions:
    sources = [labelling.of(source) for source in node.args[0]]  # type: ignore[union-attr]
    dim = int(argument(node, 1, "dim", 0)) % len(sources[0])
    result = []
    for position in range(len(sources[0])):
        if position != dim:
            result.append(labelling.unify(node, [(source[position],) for source in sources])[0])
            continue
        parts = [source[position] for source in sources]
        size = sum(size_of(part) for part in parts)
        if not any(is_labelled(part) for part in parts):
            result.append((Factor(size),))
            continue
        rows = []
        for part in parts:
            if not is_labelled(part):
                own = (Factor(size_of(part), labelling.merger.new(size_of(part))),)
                labelling.merger.fix(own, f"cat{where(node)} joins it with what has a fixed size")
                part = own  # noqa: PLW2901
            rows.append(flat(part))
        result.append((Factor(size, np.concatenate(rows)),))
    return tuple(result)


def stack(labelling: Labelling, node: fx.Node) -> Dimensions:
    sources: Any = node.args[0]
    values = labelling.unify(node, [labelling.of(source) for source in sources])
    dim = int(argument(node, 1, "dim", 0)) % (len(values) + 1)
    return (*values[:dim], (Factor(len(sources)),), *values[dim:])


def _part(dimension: Dimension, start: int, stop: int) -> Dimension:
    if is_labelled(dimension):
        return (Factor(stop - start, flat(dimension)[start:stop]),)
    return (Factor(stop - start),)


def split(labelling: Labelling, node: fx.Node) -> tuple[Dimensions, ...]:
    values = labelling.of(node.args[0])
    dim = int(argument(node, 2, "dim", 0)) % len(values)
    found, start = [], 0
    for item in node.meta["val"]:
        stop = start + int_size(item.shape[dim])
        found.append((*values[:dim], _part(values[dim], start, stop), *values[dim + 1 :]))
        start = stop
    return tuple(found)


def sliced(labelling: Labelling, node: fx.Node) -> Dimensions:
    values = labelling.of(node.args[0])
    dim = int(argument(node, 1, "dim", 0)) % len(values)
    size, start = size_of(values[dim]), int(argument(node, 2, "start", 0) or 0)
    stop = argument(node, 3, "end", size)
    if not isinstance(stop, int) or size % BATCH == 0:
        return values
    if not is_labelled(values[dim]):
        return (*values[:dim], (Factor(sizes_of(node)[dim]),), *values[dim + 1 :])
    start, stop = start % size if start < 0 else start, min(size, stop % size if stop < 0 else stop)
    if int(argument(node, 4, "step", 1)) != 1:
        raise ModelError("a slice with steps")
    return values if (start, stop) == (0, size) else (
        *values[:dim], _part(values[dim], start, stop), *values[dim + 1 :]
    )  # fmt: skip


def select(labelling: Labelling, node: fx.Node) -> Dimensions:
    values = labelling.of(node.args[0])
    dim = int(node.args[1]) % len(values)  # type: ignore[arg-type]
    labelling.merger.fix(values[dim], f"select{where(node)} takes one of it")
    return (*values[:dim], *values[dim + 1 :])


def unbind(labelling: Labelling, node: fx.Node) -> tuple[Dimensions, ...]:
    values = labelling.of(node.args[0])
    dim = int(argument(node, 1, "dim", 0)) % len(values)
    labelling.merger.fix(values[dim], f"unbind{where(node)} takes it apart")
    return ((*values[:dim], *values[dim + 1 :]),) * len(node.meta["val"])


def getitem(labelling: Labelling, node: fx.Node) -> Any:
    source: Any = node.args[0]
    value: Any = labelling.values[source.name]
    return value if base_name(source) in NORMS else value[node.args[1]]


def glu(labelling: Labelling, node: fx.Node) -> Dimensions:
    values = labelling.of(node.args[0])
    dim = int(argument(node, 1, "dim", -1)) % len(values)
    half = size_of(values[dim]) // 2
    content, gate = _part(values[dim], 0, half), _part(values[dim], half, 2 * half)
    labelling.merger.unite(content, gate, "both are parts of one tensor")
    return (*values[:dim], content, *values[dim + 1 :])


def index(labelling: Labelling, node: fx.Node) -> Dimensions:
    """``x[a, :, b]``, where ``a`` and ``b`` are tensors of positions; also for ``index_select``."""
    values, sizes = labelling.of(node.args[0]), sizes_of(node)
    positions: Any = node.args[1]
    if base_name(node) == "index_select":
        chosen = [int(positions) % len(values)]
    else:
        chosen = [position for position, indices in enumerate(positions) if indices is not None]
    for position in chosen:
        labelling.merger.fix(values[position], f"{base_name(node)}{where(node)} takes some of it")
    others = [value for position, value in enumerate(values) if position not in chosen]
    are_adjacent = chosen[-1] - chosen[0] == len(chosen) - 1
    first = chosen[0] if are_adjacent else 0
    count = len(sizes) - len(others)
    new = tuple((Factor(size),) for size in sizes[first : first + count])
    return (*others[:first], *new, *others[first:])


def written(labelling: Labelling, node: fx.Node) -> Dimensions:
    """``slice_scatter``: a part of a tensor is replaced."""
    values, source = labelling.of(node.args[0]), labelling.of(node.args[1])
    dim = int(argument(node, 2, "dim", 0)) % len(values)
    size = size_of(values[dim])
    if int(argument(node, 5, "step", 1)) != 1:
        raise ModelError("a slice with steps")
    start = int(argument(node, 3, "start", 0) or 0)
    start = start + size if start < 0 else start
    part = _part(values[dim], start, start + size_of(source[dim]))
    for position, own in enumerate(source):
        whole = part if position == dim else values[position]
        labelling.merger.unite(whole, own, f"slice_scatter{where(node)} writes what has a fixed size")
    return values


def written_one(labelling: Labelling, node: fx.Node) -> Dimensions:
    """``select_scatter``: one place of a dimension is replaced."""
    values, source = labelling.of(node.args[0]), labelling.of(node.args[1])
    dim = int(node.args[2]) % len(values)  # type: ignore[arg-type]
    reason = f"select_scatter{where(node)} writes "
    labelling.merger.fix(values[dim], f"{reason}one of it")
    others = (*values[:dim], *values[dim + 1 :])
    for whole, own in zip(others, source, strict=True):
        labelling.merger.unite(whole, own, f"{reason}what has a fixed size")
    return values
