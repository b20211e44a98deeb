"""Which ONNX operators express each ATen operator of a lowered program."""

from collections.abc import Callable, Mapping
from math import inf
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx

from narrower.errors import ExportError
from narrower.export.convolutions import Convolutions, is_positive
from narrower.export.onnx_builder import OnnxBuilder
from narrower.export.rounding import Form, Kernel, Rounding, has_container
from narrower.graph.describe import base_name
from narrower.plan import LayerPlan

ENDLESS = 2**63 - 1


class Translation:
    """One program on its way into ONNX: the names of its values, and how operands are rounded.

    ``values`` holds, for each node seen so far, the name of its value in the ONNX graph, or the tensor where
    it depends on no input.
    """

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
        self.values: dict[fx.Node, str | Tensor] = {}
        self.batch = batch
        self._layers = layers
        self._input: str | None = None

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


Rule = Callable[[Translation, fx.Node], str]


def translate(translation: Translation, node: fx.Node) -> str:
    """Express one node in ONNX and return the name of its value.

    Raises:
        ExportError: no rule covers the operator, or these arguments of it.
    """
    rule = RULES.get(base_name(node))
    if rule is None:
        raise ExportError(
            f"no rule exports the operator {node.target} ({node.name}); known are: {', '.join(sorted(RULES))}"
        )
    return rule(translation, node)


def argument(node: fx.Node, name: str) -> Any:
    """An argument by its name in ATen's schema, or its default."""
    assert isinstance(node.target, torch._ops.OpOverload)
    if name in node.kwargs:
        return node.kwargs[name]
    for position, described in enumerate(node.target._schema.arguments):
        if described.name == name:
            return node.args[position] if position < len(node.args) else described.default_value
    raise AssertionError(name)


def _unary(operator: str) -> Rule:
    return lambda t, node: t.emit(operator, t.name(node.args[0]))


def _binary(operator: str) -> Rule:
    def rule(t: Translation, node: fx.Node) -> str:
        if node.kwargs.get("alpha", 1) != 1:
            raise ExportError(f"{node.name}: no rule for {operator} with alpha")
        left, right = node.args[:2]
        if left in t.convolutions.in_integers and "bias_of" in node.meta:
            return t.name(left)
        if operator == "Add" and "bias_of" in node.meta and t.is_constant(right):
            layer = node.meta["bias_of"]
            return t.rounding.add_bias(t.name(left), t.tensor(right), t.layer(layer), f"{layer}.bias")
        return t.emit(operator, t.name(left, node), t.name(right, node))

    return rule


def _linear(t: Translation, node: fx.Node) -> str:
    x, weight = node.args[:2]
    name = node.meta["layer"]
    layer = t.layer(name)
    if not t.is_constant(weight):
        raise ExportError(f"{node.name}: no rule for a linear operator whose weight is computed")
    matrix = t.rounding.weight(
        t.tensor(weight).t(), layer.weight, kernel=_matrix_kernel(layer), label=f"{name}.weight"
    )
    return t.emit("MatMul", t.rounding.data(t.name(x), layer.data, _form(layer)), matrix)


def _matmul(t: Translation, node: fx.Node) -> str:
    name = node.meta.get("layer", "")
    layer = t.layer(name)
    form = _form(layer) if any(t.is_constant(operand) for operand in node.args[:2]) else "container"
    operands = [
        t.rounding.weight(
            t.tensor(operand), layer.weight, kernel=_matrix_kernel(layer), label=f"{name}.weight"
        )
        if t.is_constant(operand)
        else t.rounding.data(t.name(operand), layer.data, form)
        for operand in node.args[:2]
    ]
    return t.emit("MatMul", *operands)


def _matrix_kernel(layer: LayerPlan) -> Kernel:
    """ONNX Runtime rounds float32 data to 8 bits where they meet DequantizeLinear of a matrix."""
    return "integer" if has_container(layer.data) else "float32"


def _form(layer: LayerPlan) -> Form:
    """ONNX Runtime rounds float32 weights to 8 bits where their data come from DequantizeLinear."""
    return "container" if has_container(layer.weight) else "float32"


def _convolution(t: Translation, node: fx.Node) -> str:
    weight = t.tensor(argument(node, "weight"))
    spatial = weight.dim() - 2
    layer = t.layer(node.meta["layer"])
    return t.emit(
        "Conv",
        *_convolved(t, node, weight, layer),
        kernel_shape=list(weight.shape[2:]),
        strides=_each(argument(node, "stride"), spatial),
        pads=_pads(node, list(weight.shape[2:])),
        dilations=_each(argument(node, "dilation"), spatial),
        group=int(argument(node, "groups")),
    )


def _convolved(t: Translation, node: fx.Node, weight: Tensor, layer: LayerPlan) -> list[str]:
    """The operands of a convolution, with its bias where that can be added inside."""
    x, name, found = argument(node, "input"), node.meta["layer"], t.convolutions
    kernel: Kernel = "integer" if node in found.in_integers else "any"
    if node in found.in_float32:
        kernel = "float32"
    form = _form(layer)
    if x in found.bytes and form == "container":
        form = "positive bytes" if is_positive(x) else "bytes"
    operands = [
        t.rounding.data(t.name(x), layer.data, form),
        t.rounding.weight(weight, layer.weight, kernel=kernel, label=f"{name}.weight"),
    ]
    if (bias := found.in_integers.get(node)) is not None:
        operands.append(t.rounding.bias(bias, layer, label=f"{name}.bias"))
    return operands


def _pads(node: fx.Node, kernel: list[int]) -> list[int]:
    """Zeros before each dimension, then after each; what "same" cannot halve comes after."""
    padding = argument(node, "padding")
    if not isinstance(padding, str):
        return _each(padding, len(kernel)) * 2
    dilations = _each(argument(node, "dilation"), len(kernel))
    around = [d * (k - 1) if padding == "same" else 0 for d, k in zip(dilations, kernel, strict=True)]
    return [total // 2 for total in around] + [total - total // 2 for total in around]


def _max_pool(spatial: int) -> Rule:
    def rule(t: Translation, node: fx.Node) -> str:
        kernel = _each(argument(node, "kernel_size"), spatial)
        return t.emit(
            "MaxPool",
            t.name(node.args[0]),
            kernel_shape=kernel,
            strides=_each(argument(node, "stride"), spatial) or kernel,
            pads=_each(argument(node, "padding"), spatial) * 2,
            dilations=_each(argument(node, "dilation"), spatial),
            ceil_mode=int(argument(node, "ceil_mode")),
        )

    return rule


def _average_pool(spatial: int) -> Rule:
    def rule(t: Translation, node: fx.Node) -> str:
        kernel = _each(argument(node, "kernel_size"), spatial)
        return t.emit(
            "AveragePool",
            t.name(node.args[0]),
            kernel_shape=kernel,
            strides=_each(argument(node, "stride"), spatial) or kernel,
            pads=_each(argument(node, "padding"), spatial) * 2,
            ceil_mode=int(argument(node, "ceil_mode")),
            count_include_pad=int(argument(node, "count_include_pad")),
        )

    return rule


def _reshape(t: Translation, node: fx.Node) -> str:
    """The one size that depends on the batch is left to the runtime."""
    shape: Any = node.meta["val"].shape if "val" in node.meta else node.args[1]
    sizes = [size if isinstance(size, int) else -1 for size in shape]
    if sizes.count(-1) > 1:
        raise ExportError(f"{node.name}: no rule for a reshape with two sizes that depend on the batch")
    return t.emit("Reshape", t.name(node.args[0]), t.builder.constant(np.array(sizes, np.int64), "shape"))


def _permute(t: Translation, node: fx.Node) -> str:
    order = list(argument(node, "dims"))
    return t.emit("Transpose", t.name(node.args[0]), perm=[_index(axis, len(order)) for axis in order])


def _transpose(t: Translation, node: fx.Node) -> str:
    x, first, second = node.args
    rank = _rank(x)
    order = list(range(rank))
    a, b = _index(first, rank), _index(second, rank)
    order[a], order[b] = order[b], order[a]
    return t.emit("Transpose", t.name(x), perm=order)


def _squeeze(t: Translation, node: fx.Node) -> str:
    axes = node.args[1] if len(node.args) > 1 else None
    if axes is None:
        raise ExportError(f"{node.name}: no rule for squeeze without a dimension")
    listed = [axes] if isinstance(axes, int) else list(axes)  # type: ignore[arg-type]
    sizes = _sizes(node.args[0])
    kept = [axis for axis in listed if sizes is None or sizes[axis] == 1]
    return t.emit("Squeeze", t.name(node.args[0]), t.builder.constant(np.array(kept, np.int64), "axes"))


def _unsqueeze(t: Translation, node: fx.Node) -> str:
    axes = np.array([node.args[1]], np.int64)
    return t.emit("Unsqueeze", t.name(node.args[0]), t.builder.constant(axes, "axes"))


def _select(t: Translation, node: fx.Node) -> str:
    x, axis, index = node.args
    return t.emit("Gather", t.name(x), t.builder.constant(np.int64(index), "index"), axis=axis)  # type: ignore[arg-type]


def _slice(t: Translation, node: fx.Node) -> str:
    axis = argument(node, "dim")
    start, end, step = (argument(node, name) for name in ("start", "end", "step"))
    bounds = [0 if start is None else start, ENDLESS if end is None else end, axis, step]
    if not all(isinstance(bound, int) for bound in bounds):
        raise ExportError(f"{node.name}: no rule for a slice whose bounds depend on the batch")
    held = [t.builder.constant(np.array([bound], np.int64), "bound") for bound in bounds]
    return t.emit("Slice", t.name(node.args[0]), *held)


def _cat(t: Translation, node: fx.Node) -> str:
    parts = [t.name(part) for part in argument(node, "tensors")]
    return t.emit("Concat", *parts, axis=argument(node, "dim"))


def _expand(t: Translation, node: fx.Node) -> str:
    """Sizes that depend on the batch are read from the network's input."""
    x, sizes = node.args[0], list(node.args[1])  # type: ignore[arg-type]
    pieces = []
    for size in sizes:
        if isinstance(size, int):
            pieces.append(t.builder.constant(np.array([max(size, 1)], np.int64), "size"))
        elif t.batch is not None:
            pieces.append(t.builder.constant(np.array([t.batch], np.int64), "size"))
        else:
            pieces.append(t.emit("Shape", t.name(_batch_source(node)), start=0, end=1))
    return t.emit("Expand", t.name(x), t.emit("Concat", *pieces, axis=0))


def _batch_source(node: fx.Node) -> fx.Node:
    sources = (n for n in node.graph.nodes if base_name(n) == "sym_size" and n.args[1] == 0)
    source = next((n.args[0] for n in sources), None)
    if not isinstance(source, fx.Node):
        raise ExportError(f"{node.name}: no rule for this expand: nothing in the graph holds the batch size")
    return source


def _layer_norm(t: Translation, node: fx.Node) -> str:
    shape = list(argument(node, "normalized_shape"))
    weight, bias = argument(node, "weight"), argument(node, "bias")
    scale = t.name(weight) if weight is not None else t.builder.constant(np.ones(shape, np.float32))
    shift = t.name(bias) if bias is not None else t.builder.constant(np.zeros(shape, np.float32))
    eps = float(argument(node, "eps"))
    return t.emit("LayerNormalization", t.name(node.args[0]), scale, shift, axis=-len(shape), epsilon=eps)


def _gelu(t: Translation, node: fx.Node) -> str:
    """``x / 2 (1 + erf(x / sqrt(2)))``; the tanh form is Hendrycks and Gimpel's (2016, section 2)."""
    x, constant = t.name(node.args[0]), t.builder.constant
    if argument(node, "approximate") == "tanh":
        cube = t.emit("Mul", t.emit("Mul", x, x), x)
        inner = t.emit("Add", x, t.emit("Mul", cube, constant(np.float32(0.044715))))
        bent = t.emit("Tanh", t.emit("Mul", inner, constant(np.float32((2 / np.pi) ** 0.5))))
    else:
        bent = t.emit("Erf", t.emit("Mul", x, constant(np.float32(0.5**0.5))))
    half = t.emit("Mul", x, constant(np.float32(0.5)))
    return t.emit("Mul", half, t.emit("Add", bent, constant(np.float32(1))))


def _softmax(operator: str) -> Rule:
    return lambda t, node: t.emit(operator, t.name(node.args[0]), axis=argument(node, "dim"))


def _silu(t: Translation, node: fx.Node) -> str:
    x = t.name(node.args[0])
    return t.emit("Mul", x, t.emit("Sigmoid", x))


def _hard_sigmoid(t: Translation, node: fx.Node) -> str:
    return t.emit("HardSigmoid", t.name(node.args[0]), alpha=1 / 6, beta=0.5)


def _leaky_relu(t: Translation, node: fx.Node) -> str:
    return t.emit("LeakyRelu", t.name(node.args[0]), alpha=float(argument(node, "negative_slope")))


def _elu(t: Translation, node: fx.Node) -> str:
    if (argument(node, "scale"), argument(node, "input_scale")) != (1, 1):
        raise ExportError(f"{node.name}: no rule for elu with a scale")
    return t.emit("Elu", t.name(node.args[0]), alpha=float(argument(node, "alpha")))


def _masked_fill(t: Translation, node: fx.Node) -> str:
    x, mask, value = node.args
    assert isinstance(value, int | float)
    filled = t.builder.constant(np.float32(value if abs(value) != inf else np.copysign(np.inf, value)))
    return t.emit("Where", t.name(mask), filled, t.name(x))


def _clamp(t: Translation, node: fx.Node) -> str:
    names = ("min_val", "max_val") if base_name(node) == "hardtanh" else ("min", "max")
    low, high = (argument(node, name) for name in names)
    return t.emit(
        "Clip",
        t.name(node.args[0]),
        t.name(-inf if low is None else low),
        t.name(inf if high is None else high),
    )


def _same(t: Translation, node: fx.Node) -> str:
    return t.name(node.args[0])


def _each(value: object, count: int) -> list[int]:
    sizes = [value] if isinstance(value, int) else list(value)  # type: ignore[call-overload]
    return [int(size) for size in (sizes * count if len(sizes) == 1 else sizes)]


def _index(axis: object, rank: int) -> int:
    assert isinstance(axis, int)
    return axis % rank


def _sizes(node: object) -> tuple[object, ...] | None:
    assert isinstance(node, fx.Node)
    return tuple(node.meta["val"].shape) if "val" in node.meta else None


def _rank(node: object) -> int:
    sizes = _sizes(node)
    if sizes is None:
        raise ExportError(f"{node}: its number of dimensions is not known")
    return len(sizes)


RULES: dict[str, Rule] = {
    "linear": _linear,
    "matmul": _matmul,
    "mm": _matmul,
    "bmm": _matmul,
    "conv1d": _convolution,
    "conv2d": _convolution,
    "add": _binary("Add"),
    "sub": _binary("Sub"),
    "mul": _binary("Mul"),
    "div": _binary("Div"),
    "neg": _unary("Neg"),
    "abs": _unary("Abs"),
    "relu": _unary("Relu"),
    "sigmoid": _unary("Sigmoid"),
    "tanh": _unary("Tanh"),
    "exp": _unary("Exp"),
    "sqrt": _unary("Sqrt"),
    "maximum": _binary("Max"),
    "minimum": _binary("Min"),
    "gelu": _gelu,
    "silu": _silu,
    "elu": _elu,
    "leaky_relu": _leaky_relu,
    "hardswish": _unary("HardSwish"),
    "hardsigmoid": _hard_sigmoid,
    "softmax": _softmax("Softmax"),
    "_softmax": _softmax("Softmax"),
    "log_softmax": _softmax("LogSoftmax"),
    "_log_softmax": _softmax("LogSoftmax"),
    "layer_norm": _layer_norm,
    "hardtanh": _clamp,
    "clamp": _clamp,
    "clip": _clamp,
    "relu6": lambda t, node: t.emit("Clip", t.name(node.args[0]), t.name(0.0), t.name(6.0)),
    "max_pool1d": _max_pool(1),
    "max_pool2d": _max_pool(2),
    "avg_pool1d": _average_pool(1),
    "avg_pool2d": _average_pool(2),
    "reshape": _reshape,
    "view": _reshape,
    "flatten": _reshape,
    "_unsafe_view": _reshape,
    "permute": _permute,
    "transpose": _transpose,
    "squeeze": _squeeze,
    "unsqueeze": _unsqueeze,
    "select": _select,
    "slice": _slice,
    "cat": _cat,
    "expand": _expand,
    "masked_fill": _masked_fill,
    "clone": _same,
    "alias": _same,
    "detach": _same,
    "contiguous": _same,
}
