"""A lowered program on its way into ONNX: the names of its values, and how its operands are rounded."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from onnx import TensorProto
from torch import Tensor, fx

from narrower.errors import ExportError
from narrower.export.convolutions import Convolutions
from narrower.export.edge_bytes import ByteScale
from narrower.export.integer_form import IntegerForm
from narrower.export.onnx_builder import OnnxBuilder
from narrower.export.rounding import Rounding
from narrower.graph.nodes import batch_multiple
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.plan import LayerPlan

# The name of a value in the ONNX graph; the tensor where no input reaches it; several, of an operator that
# computes several.
Value = str | Tensor | tuple["Value", ...]
TYPES: dict[torch.dtype, int] = {
    torch.float32: TensorProto.FLOAT,
    torch.float64: TensorProto.DOUBLE,
    torch.float16: TensorProto.FLOAT16,
    torch.int64: TensorProto.INT64,
    torch.int32: TensorProto.INT32,
    torch.int16: TensorProto.INT16,
    torch.int8: TensorProto.INT8,
    torch.uint8: TensorProto.UINT8,
    torch.bool: TensorProto.BOOL,
}


@dataclass(frozen=True, slots=True)
class Target:
    """What will run the file: its version of ONNX's operators, and whether it adds pairs in 16 bits.

    ``batch`` None: the number of samples stays open.
    """

    opset: int
    adds_pairs: bool
    batch: int | None


class Translation:
    """One program and one ONNX graph; ``values`` holds the value of each node seen so far.

    ``tensors`` are those of the program, ``source`` is the network's first input, whose first dimension is
    the batch. ``form`` says what is in bytes. ``saturating`` collects the layers whose pairs of products of
    bytes can pass 16 bits, ``edges`` the names of the bytes on edges and how these are stored,
    ``rounded_edges`` the names of other values that are rounded where they are written.
    """

    def __init__(
        self,
        builder: OnnxBuilder,
        rounding: Rounding,
        layers: Mapping[str, LayerPlan],
        tensors: Mapping[str, Tensor],
        source: fx.Node,
        convolutions: Convolutions,
        form: IntegerForm,
        target: Target,
    ) -> None:
        self.builder = builder
        self.form = form
        self.rounding = rounding
        self.tensors = tensors
        self.convolutions = convolutions
        self.values: dict[fx.Node, Value] = {}
        self.opset = target.opset
        self.saturating: list[str] = []
        self.edges: dict[str, tuple[str, ByteScale]] = {}
        self.rounded_edges: dict[tuple[str, NumberFormat], str] = {}
        self._adds_pairs = target.adds_pairs
        self._layers = layers
        self._batch = target.batch
        self._source = source

    def layer(self, name: str) -> LayerPlan:
        """The plan of one layer."""
        return self._layers.get(name) or LayerPlan()

    def is_in_float32(self, name: str, can_saturate: bool) -> bool:
        """Whether a matrix product must not be computed in bytes."""
        if can_saturate and name not in self.saturating:
            self.saturating.append(name)
        return can_saturate and self._adds_pairs

    def name(self, argument: object, kind: torch.dtype | None = None) -> str:
        """The ONNX name of an argument: a computed value, or a constant that is held for it.

        With ``kind`` it is of that type; numbers are float32 without.
        """
        value = self.values[argument] if isinstance(argument, fx.Node) else argument
        if isinstance(value, str):
            return self.cast(value, type_of(argument), kind)
        if isinstance(value, Tensor):
            label = argument.name if isinstance(argument, fx.Node) else "constant"
            held = value.detach() if kind is None else value.detach().to(kind)
            return self.builder.constant(held.numpy(), label)
        if isinstance(value, bool | int | float):
            return self.builder.constant(torch.tensor(value, dtype=kind or torch.float32).numpy())
        raise ExportError(f"no rule for the argument {argument!r}")

    def cast(self, value: str, kind: torch.dtype, wanted: torch.dtype | None) -> str:
        """A value in another type."""
        if wanted is None or wanted == kind:
            return value
        return self.emit("Cast", value, to=onnx_type(wanted))

    def is_constant(self, argument: object) -> bool:
        """Whether no input of the network reaches the argument."""
        return isinstance(argument, fx.Node) and isinstance(self.values[argument], Tensor)

    def tensor(self, argument: object) -> Tensor:
        """The tensor of a constant argument."""
        value = self.values[argument] if isinstance(argument, fx.Node) else argument
        if not isinstance(value, Tensor):
            raise ExportError(f"no rule where {argument} depends on the data")
        return value

    def emit(self, operator: str, *inputs: str, **attributes: object) -> str:
        """Add one ONNX node."""
        return self.builder.emit(operator, *inputs, **attributes)  # type: ignore[arg-type]

    def emit_several(self, count: int, operator: str, *inputs: str, **attributes: object) -> tuple[str, ...]:
        """Add one ONNX node with several results."""
        return self.builder.emit_several(count, operator, *inputs, **attributes)  # type: ignore[arg-type]

    def number(self, value: float) -> str:
        """Hold a float32 number."""
        return self.builder.constant(np.float32(value))

    def integers(self, *values: int) -> str:
        """Hold a list of whole numbers: sizes, axes, bounds."""
        return self.builder.constant(np.array(values, np.int64), "integers")

    def sizes(self, sizes: Sequence[object]) -> str:
        """A shape as a value; sizes that depend on the batch are computed from the network's input."""
        pieces: list[str] = []
        known: list[int] = []
        values: list[Any] = [size.meta["val"] if isinstance(size, fx.Node) else size for size in sizes]
        for size in values:
            multiple = 0 if isinstance(size, int) else batch_multiple(size)
            if isinstance(size, int):
                known.append(size)
            elif self._batch is not None:
                known.append(multiple * self._batch)
            else:
                pieces += [self.integers(*known)] if known else []
                known = []
                batch = self.emit("Shape", self.name(self._source), start=0, end=1)
                pieces.append(batch if multiple == 1 else self.emit("Mul", batch, self.integers(multiple)))
        if not pieces:
            return self.integers(*known)
        pieces += [self.integers(*known)] if known else []
        return self.emit("Concat", *pieces, axis=0) if len(pieces) > 1 else pieces[0]


Rule = Callable[[Translation, fx.Node], Value]


def has_argument(node: fx.Node, name: str) -> bool:
    """Whether the operator has an argument of that name."""
    assert isinstance(node.target, torch._ops.OpOverload)
    return any(described.name == name for described in node.target._schema.arguments)


def each(value: object, count: int) -> list[int]:
    """One number for each dimension, where one may be given for all."""
    sizes = [value] if isinstance(value, int) else list(value)  # type: ignore[call-overload]
    return [int(size) for size in (sizes * count if len(sizes) == 1 else sizes)]


def axis_of(axis: object, rank: int) -> int:
    """A dimension, counted from the first."""
    assert isinstance(axis, int)
    return axis % rank


def sizes_of(node: object) -> tuple[Any, ...]:
    """The shape of a value; sizes that depend on the batch are no whole numbers."""
    value = node.meta.get("val") if isinstance(node, fx.Node) else None
    if not isinstance(value, Tensor):
        raise ExportError(f"the shape of {node} is not known")
    return tuple(value.shape)


def whole_size(node: object, axis: int) -> int:
    """One size of a value, which must not depend on the batch."""
    size = sizes_of(node)[axis]
    if not isinstance(size, int):
        raise ExportError(f"no rule where dimension {axis} of {node}, which depends on the batch, is counted")
    return size


def rank_of(node: object) -> int:
    """The number of dimensions of a value."""
    return len(sizes_of(node))


def type_of(argument: object) -> torch.dtype:
    """The type of a value; float32 where nothing says another."""
    value = argument.meta.get("val") if isinstance(argument, fx.Node) else argument
    return value.dtype if isinstance(value, Tensor) else torch.float32


def common_type(*arguments: object) -> torch.dtype:
    """The type in which PyTorch computes with several tensors and numbers."""
    found: Any = None
    for each_one in arguments:
        value = each_one.meta.get("val", torch.empty(1)) if isinstance(each_one, fx.Node) else each_one
        if isinstance(value, Tensor):
            value = torch.empty((1,) * value.dim(), dtype=value.dtype)
        elif not isinstance(value, bool | int | float):
            value = 1  # a size
        found = (
            value
            if found is None
            else torch.empty((1,) * max(_rank(found), _rank(value)), dtype=torch.result_type(found, value))
        )
    return found.dtype if isinstance(found, Tensor) else torch.float32


def _rank(value: object) -> int:
    return value.dim() if isinstance(value, Tensor) else 0


def onnx_type(kind: torch.dtype) -> int:
    """ONNX's number for a type.

    Raises:
        ExportError: it has none here.
    """
    if kind not in TYPES:
        raise ExportError(f"no rule for values of the type {kind}")
    return TYPES[kind]
