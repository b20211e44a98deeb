"""Products, whose operands a plan rounds, as ONNX operators."""

from collections.abc import Sequence

from torch import Tensor, fx

from narrower.export.byte_operators import hold_product
from narrower.export.convolutions import is_positive
from narrower.export.formats.catalogue import linear_grid
from narrower.export.formats.fixed_each import with_weight_on_one_grid
from narrower.export.integers import container, whole_numbers
from narrower.export.operators.translation import Rule, Translation, each, sizes_of
from narrower.export.pair_sums import pairs_saturate
from narrower.export.rounding import Form, Kernel
from narrower.graph.arguments import argument
from narrower.graph.nodes import rounded_operand
from narrower.plan.formats.grid import Grid
from narrower.plan.plan import LayerPlan


def _linear(t: Translation, node: fx.Node) -> str:
    x, weight = node.args[:2]
    name = node.meta["layer"]
    layer = t.layer(name)
    if node in t.form.products:
        return t.emit("Gemm", t.name(x), *hold_product(t.builder, t.form.products[node], name), transB=1)
    if t.is_constant(weight):
        matrix, layer = with_weight_on_one_grid(t.tensor(weight), layer)
        return _weighted(t, name, x, matrix, layer, transposed=True)
    columns = t.emit("Transpose", t.name(weight), perm=[1, 0])
    return t.emit("MatMul", *_of_data(t, name, (t.name(x), columns), layer))


def _matmul(t: Translation, node: fx.Node) -> str:
    name = node.meta["layer"]
    layer = t.layer(name)
    first, second = node.args[:2]
    is_weight = [_is_weight(t, node, operand) for operand in (first, second)]
    if not any(is_weight):
        return t.emit("MatMul", *_of_data(t, name, (t.name(first), t.name(second)), layer))
    if is_weight == [False, True]:
        return _weighted(t, name, first, t.tensor(second), layer)
    is_in_float32 = t.is_in_float32(name, pairs_saturate(layer.weight.grid, linear_grid(layer.data)))
    form, kernel = _form(layer, is_in_float32), _matrix_kernel(layer, is_in_float32)
    operands = [
        t.rounding.weight(t.tensor(operand), layer.weight, kernel=kernel, label=f"{name}.weight")
        if is_weight
        else t.rounding.data(t.name(operand), layer.data, form)
        for operand, is_weight in zip((first, second), is_weight, strict=True)
    ]
    return t.emit("MatMul", *operands)


def _weighted(
    t: Translation, name: str, x: object, weight: Tensor, layer: LayerPlan, *, transposed: bool = False
) -> str:
    """Data times a constant [..., K, O], or [O, K] that is transposed after it is rounded."""
    matrix, form = held_matrix(t, name, weight, layer, transposed=transposed)
    return t.emit("MatMul", t.rounding.data(t.name(x), layer.data, form), matrix)


def held_matrix(
    t: Translation, name: str, weight: Tensor, layer: LayerPlan, *, transposed: bool
) -> tuple[str, Form]:
    """A rounded constant matrix, and the form in which data have to be that are multiplied with it."""
    grid = layer.weight.grid
    integers = None if grid is None else whole_numbers(weight, layer.weight)
    if integers is not None and not transposed and weight.dim() > 1:
        integers = integers.swapaxes(-1, -2)
    known = None if integers is None else integers.reshape(-1, integers.shape[-1])
    is_in_float32 = t.is_in_float32(name, pairs_saturate(linear_grid(layer.data), grid, known))
    kernel = _matrix_kernel(layer, is_in_float32)
    matrix = t.rounding.weight(
        weight, layer.weight, kernel=kernel, label=f"{name}.weight", transposed=transposed
    )
    return matrix, _form(layer, is_in_float32)


def _of_data(t: Translation, name: str, operands: Sequence[str], layer: LayerPlan) -> list[str]:
    grid = linear_grid(layer.data)
    form: Form = "float32" if t.is_in_float32(name, pairs_saturate(grid, grid)) else "container"
    return [t.rounding.data(operand, layer.data, form) for operand in operands]


def _is_weight(t: Translation, node: fx.Node, operand: object) -> bool:
    """Whether a plan rounds the operand as the layer's weight."""
    assert isinstance(operand, fx.Node)
    slot = rounded_operand(node, operand, t.tensors)
    return slot is not None and slot[1] == "weight"


def _matrix_kernel(layer: LayerPlan, is_in_float32: bool = False) -> Kernel:
    """ONNX Runtime rounds float32 data to 8 bits where they meet DequantizeLinear of a matrix."""
    return "integer" if not is_in_float32 and _has_container(linear_grid(layer.data)) else "float32"


def _form(layer: LayerPlan, is_in_float32: bool = False) -> Form:
    """ONNX Runtime rounds float32 weights to 8 bits where their data come from DequantizeLinear."""
    return "container" if not is_in_float32 and _has_container(layer.weight.grid) else "float32"


def _has_container(grid: Grid | None) -> bool:
    return grid is not None and container(grid, smallest=8) is not None


def _convolution(t: Translation, node: fx.Node) -> str:
    kernel = _kernel_shape(node)
    return t.emit(
        "Conv",
        *_convolved(t, node),
        kernel_shape=kernel,
        strides=each(argument(node, "stride"), len(kernel)),
        pads=_pads(node, kernel),
        dilations=each(argument(node, "dilation"), len(kernel)),
        group=int(argument(node, "groups")),
    )


def _transposed_convolution(t: Translation, node: fx.Node) -> str:
    kernel = _kernel_shape(node)
    count = len(kernel)
    return t.emit(
        "ConvTranspose",
        *_convolved(t, node),
        kernel_shape=kernel,
        strides=each(argument(node, "stride"), count),
        pads=each(argument(node, "padding"), count) * 2,
        output_padding=each(argument(node, "output_padding"), count),
        dilations=each(argument(node, "dilation"), count),
        group=int(argument(node, "groups")),
    )


def _kernel_shape(node: fx.Node) -> list[int]:
    return [int(size) for size in sizes_of(argument(node, "weight"))[2:]]


def _convolved(t: Translation, node: fx.Node) -> list[str]:
    """The operands of a convolution, with its bias where that can be added inside."""
    x, name, found = argument(node, "input"), node.meta["layer"], t.convolutions
    if node in t.form.products:
        return [t.name(x), *hold_product(t.builder, t.form.products[node], name)]
    layer, weight = t.layer(name), argument(node, "weight")
    if not t.is_constant(weight):
        return [t.rounding.data(t.name(operand), layer.data, "float32") for operand in (x, weight)]
    kernel: Kernel = "integer" if node in found.in_integers else "any"
    if node in found.in_float32:
        kernel = "float32"
    form = _form(layer)
    if x in found.bytes and form == "container":
        form = "positive bytes" if is_positive(x) else "bytes"
    operands = [
        t.rounding.data(t.name(x), layer.data, form),
        t.rounding.weight(t.tensor(weight), layer.weight, kernel=kernel, label=f"{name}.weight"),
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
    **dict.fromkeys(("matmul", "mm", "bmm", "mv", "dot", "vdot"), _matmul),
    **{f"conv{n}d": _convolution for n in (1, 2, 3)},
    **{f"conv_transpose{n}d": _transposed_convolution for n in (1, 2, 3)},
}
