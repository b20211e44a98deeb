"""Products, whose operands a plan rounds, as ONNX operators."""

from torch import Tensor, fx

from narrower.errors import ExportError
from narrower.export.convolutions import is_positive
from narrower.export.formats.catalogue import linear_grid
from narrower.export.integers import container
from narrower.export.operators.translation import Rule, Translation, argument, each
from narrower.export.rounding import Form, Kernel
from narrower.formats.grid import Grid
from narrower.plan import LayerPlan


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
    return "integer" if _has_container(linear_grid(layer.data)) else "float32"


def _form(layer: LayerPlan) -> Form:
    """ONNX Runtime rounds float32 weights to 8 bits where their data come from DequantizeLinear."""
    return "container" if _has_container(layer.weight.grid) else "float32"


def _has_container(grid: Grid | None) -> bool:
    return grid is not None and container(grid, smallest=8) is not None


def _convolution(t: Translation, node: fx.Node) -> str:
    weight = t.tensor(argument(node, "weight"))
    spatial = weight.dim() - 2
    layer = t.layer(node.meta["layer"])
    return t.emit(
        "Conv",
        *_convolved(t, node, weight, layer),
        kernel_shape=list(weight.shape[2:]),
        strides=each(argument(node, "stride"), spatial),
        pads=_pads(node, list(weight.shape[2:])),
        dilations=each(argument(node, "dilation"), spatial),
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
        return each(padding, len(kernel)) * 2
    dilations = each(argument(node, "dilation"), len(kernel))
    around = [d * (k - 1) if padding == "same" else 0 for d, k in zip(dilations, kernel, strict=True)]
    return [total // 2 for total in around] + [total - total // 2 for total in around]


PRODUCTS: dict[str, Rule] = {
    "linear": _linear,
    "matmul": _matmul,
    "mm": _matmul,
    "bmm": _matmul,
    "conv1d": _convolution,
    "conv2d": _convolution,
}
