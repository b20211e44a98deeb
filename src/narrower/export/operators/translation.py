"""A lowered program on its way into ONNX: the names of its values, and how its operands are rounded."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx

from narrower.errors import ExportError
from narrower.export.convolutions import Convolutions
from narrower.export.onnx_builder import OnnxBuilder
from narrower.export.rounding import Rounding
from narrower.plan import LayerPlan

# The name of a value in the ONNX graph; the tensor where no input reaches it; several, of an operator that
# computes several.
Value = str | Tensor | tuple["Value", ...]


class Translation:
    """One program and one ONNX graph; ``values`` holds the value of each node seen so far."""

    def __init__(
        self,
        builder: OnnxBuilder,
        rounding: Rounding,
        layers: Mapping[str, LayerPlan],
        batch: int | None,
        convolutions: Convolutions,
    ) -> None:
        self.builder = builder
        self.rounding = rounding
        self.convolutions = convolutions
        self.values: dict[fx.Node, Value] = {}
        self.batch = batch
        self._layers = layers

    def layer(self, name: str) -> LayerPlan:
        """The plan of one layer."""
        return self._layers.get(name) or LayerPlan()

    def name(self, argument: object, like: fx.Node | None = None) -> str:
        """The ONNX name of an argument: a computed value, or a constant that is held for it."""
        value = self.values[argument] if isinstance(argument, fx.Node) else argument
        if isinstance(value, str):
            return value
        if isinstance(value, Tensor):
            label = argument.name if isinstance(argument, fx.Node) else "constant"
            return self.builder.constant(value.detach().numpy(), label)
        if isinstance(value, bool | int | float):
            return self.builder.constant(np.float32(value))
        raise ExportError(f"{like}: no rule for the argument {argument!r}")

    def is_constant(self, argument: object) -> bool:
        """Whether no input of the network reaches the argument."""
        return isinstance(argument, fx.Node) and isinstance(self.values[argument], Tensor)

    def tensor(self, argument: object) -> Tensor:
        """The tensor of a constant argument."""
        value = self.values[argument] if isinstance(argument, fx.Node) else argument
        assert isinstance(value, Tensor)
        return value

    def emit(self, operator: str, *inputs: str, **attributes: object) -> str:
        """Add one ONNX node."""
        return self.builder.emit(operator, *inputs, **attributes)  # type: ignore[arg-type]

    def integers(self, *values: int) -> str:
        """Hold a list of whole numbers: sizes, axes, bounds."""
        return self.builder.constant(np.array(values, np.int64), "sizes")


Rule = Callable[[Translation, fx.Node], Value]


def argument(node: fx.Node, name: str) -> Any:
    """An argument by its name in ATen's schema, or its default."""
    assert isinstance(node.target, torch._ops.OpOverload)
    if name in node.kwargs:
        return node.kwargs[name]
    for position, described in enumerate(node.target._schema.arguments):
        if described.name == name:
            return node.args[position] if position < len(node.args) else described.default_value
    raise AssertionError(name)


def each(value: object, count: int) -> list[int]:
    """One number for each dimension, where one may be given for all."""
    sizes = [value] if isinstance(value, int) else list(value)  # type: ignore[call-overload]
    return [int(size) for size in (sizes * count if len(sizes) == 1 else sizes)]


def axis_of(axis: object, rank: int) -> int:
    """A dimension, counted from the first."""
    assert isinstance(axis, int)
    return axis % rank


def sizes_of(node: object) -> tuple[object, ...] | None:
    """The shape of a value, where it is known; sizes that depend on the batch are no whole numbers."""
    assert isinstance(node, fx.Node)
    return tuple(node.meta["val"].shape) if "val" in node.meta else None


def rank_of(node: object) -> int:
    """The number of dimensions of a value."""
    sizes = sizes_of(node)
    if sizes is None:
        raise ExportError(f"{node}: its number of dimensions is not known")
    return len(sizes)
