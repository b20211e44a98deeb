"""Look-ups by whole numbers, and where the largest values are, as ONNX operators."""

from typing import Any

import numpy as np
import torch
from torch import fx

from narrower.errors import ExportError
from narrower.export.operators.translation import (
    Rule,
    Translation,
    Value,
    rank_of,
    type_of,
    whole_size,
)
from narrower.graph.arguments import argument
from narrower.graph.nodes import base_name
from narrower.plan.formats.float32 import FLOAT32


def _embedding(t: Translation, node: fx.Node) -> str:
    weight, layer = argument(node, "weight"), t.layer(node.meta.get("layer", ""))
    if t.is_constant(weight) and layer.weight != FLOAT32:
        label = f"{node.meta['layer']}.weight"
        table = t.rounding.weight(t.tensor(weight), layer.weight, kernel="float32", label=label)
    else:
        table = t.name(weight)
    return t.emit("Gather", table, t.name(argument(node, "indices")), axis=0)


def _select(t: Translation, node: fx.Node) -> str:
    x, axis, index = node.args
    return t.emit("Gather", t.name(x), t.builder.constant(np.int64(index), "index"), axis=axis)  # type: ignore[arg-type]


def _unbind(t: Translation, node: fx.Node) -> Value:
    axis = int(argument(node, "dim"))
    read = {user.args[1] for user in node.users}  # the others are not computed
    x = t.name(node.args[0])
    count = whole_size(node.args[0], axis)
    return tuple(
        t.emit("Gather", x, t.builder.constant(np.int64(index), "index"), axis=axis) if index in read else ""
        for index in range(count)
    )


def _index_select(t: Translation, node: fx.Node) -> str:
    index = t.name(argument(node, "index"))
    return t.emit("Gather", t.name(node.args[0]), index, axis=argument(node, "dim"))


def _index(t: Translation, node: fx.Node) -> str:
    """Positions along one dimension, which take its place; or along the first ones together."""
    given: Any = node.args[1]
    places = [axis for axis, index in enumerate(given) if index is not None]
    is_mask = any(type_of(given[axis]) == torch.bool for axis in places)
    if is_mask or (len(places) > 1 and places != list(range(len(places)))):
        raise ExportError(f"no rule for an index by a mask, or by tensors behind others ({node.name})")
    if len(places) > 1:
        return _together(t, node, [t.name(given[axis], torch.int64) for axis in places])
    return t.emit("Gather", t.name(node.args[0]), t.name(given[places[0]]), axis=places[0])


def _together(t: Translation, node: fx.Node, indices: list[str]) -> str:
    """One position along the first dimensions for each place to which the indices are broadcast."""
    total = indices[0]
    for index in indices[1:]:
        total = t.emit("Add", total, index)
    shape, last = t.emit("Shape", total), t.integers(-1)
    wide = [t.emit("Unsqueeze", t.emit("Expand", index, shape), last) for index in indices]
    return t.emit("GatherND", t.name(node.args[0]), t.emit("Concat", *wide, axis=-1))


def _gather(t: Translation, node: fx.Node) -> str:
    index = t.name(argument(node, "index"))
    return t.emit("GatherElements", t.name(node.args[0]), index, axis=argument(node, "dim"))


def _one_hot(t: Translation, node: fx.Node) -> str:
    count = int(argument(node, "num_classes"))
    if count < 0:
        raise ExportError(f"no rule for one_hot without a number of classes ({node.name})")
    classes = t.builder.constant(np.arange(count, dtype=np.int64))
    last = t.integers(rank_of(node.args[0]))
    found = t.emit("Equal", t.emit("Unsqueeze", t.name(node.args[0], torch.int64), last), classes)
    return t.cast(found, torch.bool, torch.int64)


def _largest(t: Translation, node: fx.Node) -> Value:
    """The k largest or smallest, in order; all of them where they are sorted."""
    axis = int(argument(node, "dim"))
    if base_name(node) == "topk":
        count, largest = argument(node, "k"), int(argument(node, "largest"))
    else:
        count, largest = whole_size(node.args[0], axis), int(argument(node, "descending"))
    found = t.emit_several(
        2, "TopK", t.name(node.args[0]), t.integers(count), axis=axis, largest=largest, sorted=1
    )
    return found[1] if base_name(node) == "argsort" else found


INDEXING: dict[str, Rule] = {
    "embedding": _embedding,
    "select": _select,
    "unbind": _unbind,
    "index_select": _index_select,
    "index": _index,
    "gather": _gather,
    "one_hot": _one_hot,
    "topk": _largest,
    "sort": _largest,
    "argsort": _largest,
}
