"""What a node of an ATen graph is: its kind, its shape, what stands behind it, and where it comes from."""

import operator as python_operators
import re
from collections.abc import Container, Mapping

import torch
from torch import Tensor, fx

from narrower.errors import ModelError
from narrower.graph.network import MATRIX, RECURRENT_KINDS, TABLE_KINDS, BatchSize, Shape
from narrower.graph.values import Value

# ATen's name of an operator, without overload, where ours differs.
KINDS: dict[str, str] = {
    "_native_batch_norm_legit_no_training": "batch_norm",
    "mm": "matmul",
    "bmm": "matmul",
    "dot": "matmul",
    "mv": "matmul",
}
# Views and copies of a weight: the operand behind them is the weight itself.
LAYOUT_TARGETS = frozenset(
    {
        *("t", "transpose", "permute", "view", "reshape", "unsqueeze", "squeeze", "numpy_T"),
        *("clone", "contiguous", "_unsafe_view"),
    }
)

_USER_LINE = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+)')


def is_tensor(node: fx.Node) -> bool:
    """Whether the node is an operator of the network: it computes tensors and is no mere unpacking."""
    value = node.meta.get("val")
    is_tensors = isinstance(value, Tensor | Value) or (
        isinstance(value, list | tuple) and any(isinstance(v, Tensor | Value) for v in value)
    )
    is_several = kind_of(node) == "batch_norm"
    return (is_tensors or is_several) and resolve(node) is node


def is_size(node: fx.Node) -> bool:
    """Whether the node computes a size from the batch, not a tensor."""
    value = node.meta.get("val")
    return value is not None and not isinstance(value, Tensor | Value | list | tuple)


def resolve(node: fx.Node) -> fx.Node:
    """The operator behind a node: batch norm's first result stands for batch norm."""
    if node.target is python_operators.getitem:
        source = node.args[0]
        if isinstance(source, fx.Node) and kind_of(source) == "batch_norm":
            return source
    return node


def kind_of(node: fx.Node) -> str:
    """The usual name of a node's operation."""
    base = base_name(node)
    if base in ("clone", "alias", "detach") and "Dropout" in module_call(node)[2]:
        return "dropout"
    return KINDS.get(base, base)


def base_name(node: fx.Node) -> str:
    """ATen's name of the operation, without namespace and overload."""
    target = node.target
    if isinstance(target, torch._ops.OpOverload):
        return str(target._schema.name).split("::")[-1]
    return getattr(target, "__name__", str(target))


def shape_of(node: fx.Node) -> Shape:
    """The shape of a node's (first) tensor.

    Raises:
        ModelError: a dimension is no multiple of the batch size.
    """
    value = node.meta.get("val")
    if value is None and kind_of(node) == "batch_norm":
        value = node.args[0].meta["val"]  # type: ignore[union-attr]
    if isinstance(value, list | tuple):
        value = value[0]
    return tuple(_size(size, node) for size in value.shape) if isinstance(value, Tensor | Value) else ()


def _size(size: int | BatchSize | torch.SymInt, node: fx.Node) -> int | BatchSize:
    if isinstance(size, int | BatchSize):
        return size
    expression = size.node.expr
    if not expression.free_symbols:
        return int(expression)
    try:
        return BatchSize(batch_multiple(size))
    except ModelError as error:
        raise ModelError(f"{node.name}: {error}") from None


def batch_multiple(size: torch.SymInt) -> int:
    """How many times the batch size a size is.

    Raises:
        ModelError: it is no multiple of it.
    """
    expression = size.node.expr
    symbols = list(expression.free_symbols)
    multiple = expression.subs(symbols[0], 1) if symbols else 0
    if len(symbols) != 1 or expression != multiple * symbols[0]:
        raise ModelError(f"a dimension of {expression} is no multiple of the batch size")
    return int(multiple)


def is_layout(node: fx.Node) -> bool:
    """Whether a node computes nothing: it shows the same values in another shape or order."""
    return base_name(node) in LAYOUT_TARGETS


def parameter_behind(node: object) -> fx.Node | None:
    """The placeholder that a node is a mere view of, or None."""
    while isinstance(node, fx.Node):
        if node.op == "placeholder":
            return node
        if not is_layout(node):
            return None
        node = node.args[0]
    return None


def is_weight(product: fx.Node, operand: fx.Node, held: Container[str]) -> bool:
    """Whether a product reads an operand as its weight; of two tensors of the model the first is the data.

    ``held`` names the placeholders that are the model's tensors.
    """
    first, second = (is_held(argument, held) for argument in product.args[:2])
    is_data = first and second and operand is product.args[0] and operand is not product.args[1]
    return is_held(operand, held) and not is_data


def rounded_operand(node: fx.Node, source: fx.Node, tensors: Mapping[str, Tensor]) -> tuple[str, str] | None:
    """Which operand of a layer ``node`` reads from ``source``; None where it reads what is not rounded.

    Operands are "data", "weight" and "bias".
    """
    if "bias_of" in node.meta:
        return (node.meta["bias_of"], "bias") if source is node.args[1] else None
    if "layer" not in node.meta:
        return None
    if is_recurrent(node):
        operand = _recurrent_operand(node, source, tensors)
        return None if operand is None else (node.meta["layer"], operand)
    if base_name(node) in TABLE_KINDS:
        return (node.meta["layer"], "weight") if source is node.args[0] and is_held(source, tensors) else None
    return node.meta["layer"], "weight" if is_weight(node, source, tensors) else "data"


def is_recurrent(node: fx.Node) -> bool:
    """Whether a node is a whole recurrent layer."""
    return node.op == "call_function" and base_name(node) in RECURRENT_KINDS


def _recurrent_operand(node: fx.Node, source: fx.Node, tensors: Mapping[str, Tensor]) -> str | None:
    """Which operand of a recurrent layer a source is; None for states, which are rounded inside."""
    if source is node.args[0]:
        return "data"
    held = node.args[2]
    if not isinstance(held, list | tuple) or source not in held or not is_held(source, tensors):
        return None
    return "weight" if source.meta["val"].dim() == MATRIX else "bias"


def is_held(node: object, held: Container[str]) -> bool:
    behind = parameter_behind(node)
    return behind is not None and behind.name in held


def source_line(node: fx.Node) -> str | None:
    """The user's line that a node came from, as ``model.py:88``, where it is known."""
    lines = [
        match
        for match in _USER_LINE.finditer(node.meta.get("stack_trace") or "")
        if "/torch/" not in match["file"]
    ]
    return f"{lines[-1]['file'].rsplit('/', 1)[-1]}:{lines[-1]['line']}" if lines else None


def module_call(node: fx.Node) -> tuple[str, str, str]:
    """Path of the module that called the operator, the key of that call, and the module's class name."""
    stack = node.meta.get("nn_module_stack") or {}
    if not stack:
        return "", "", ""
    key, (path, module_type) = list(stack.items())[-1]
    class_name = module_type if isinstance(module_type, str) else module_type.__name__
    if class_name.startswith("_empty_nn_module_stack"):
        return "", "", ""
    return str(path).split("@")[0], str(key), class_name.split(".")[-1]
