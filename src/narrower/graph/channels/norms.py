"""What norms do to channels: they keep them, and hold a number for each."""

from typing import Any

from torch import fx

from narrower.graph.channels.dimensions import (
    Dimensions,
    is_labelled,
    size_of,
)
from narrower.graph.channels.labelling import Labelling, argument, where
from narrower.graph.nodes import base_name

# Their first output is the normalized tensor; the others are statistics.
NORMS = ("_native_batch_norm_legit_no_training", "native_layer_norm", "native_group_norm")


def channel_norm(labelling: Labelling, node: fx.Node) -> Any:
    values = labelling.of(node.args[0])
    for parameter in node.args[1:5]:
        labelling.bind(parameter, 0, values[1])
    return values


def layer_norm(labelling: Labelling, node: fx.Node) -> Dimensions:
    values = labelling.of(node.args[0])
    shape = node.args[1]
    name = "RMS norm" if base_name(node) == "rms_norm" else "layer norm"
    assert isinstance(shape, list | tuple)
    for parameter in (argument(node, 2, "weight"), argument(node, 3, "bias")):
        if isinstance(parameter, fx.Node):
            labelling.bind_all(parameter, values[-len(shape) :])
    for position in range(len(shape)):
        labelling.notes.append((values[position - len(shape)], f"{name}{where(node)} averages over it"))
    return values


def group_norm(labelling: Labelling, node: fx.Node) -> Dimensions:
    values = labelling.of(node.args[0])
    native = base_name(node) == "native_group_norm"
    count = int(node.args[6] if native else node.args[1])  # type: ignore[arg-type]
    if is_labelled(values[1]):
        labelling.merger.tied(values[1], count)
    parameters = (
        (node.args[1], node.args[2]) if native else (argument(node, 2, "weight"), argument(node, 3, "bias"))
    )
    for parameter in parameters:
        labelling.bind(parameter, 0, values[1])
    labelling.notes.append((values[1], f"group norm{where(node)} averages over it"))
    return values


def prelu(labelling: Labelling, node: fx.Node) -> Dimensions:
    values = labelling.of(node.args[0])
    weight = labelling.of(node.args[1])
    if size_of(weight[0]) > 1:
        labelling.bind(node.args[1], 0, values[1])
    return values
