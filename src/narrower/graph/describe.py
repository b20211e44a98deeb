"""From an ATen graph to the torch-free picture of its network."""

import operator as python_operators
import re
from collections.abc import Container, Mapping
from math import prod
from typing import Any

import torch
from torch import Tensor, fx, nn

from narrower.errors import ModelError
from narrower.graph.folded_network import layer_of
from narrower.graph.network import (
    MATRIX,
    PRODUCT_KINDS,
    RECURRENT_KINDS,
    Attribute,
    BatchSize,
    Network,
    Operator,
    Parameter,
    Shape,
)
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
WITHOUT_PRODUCTS = (torch.Tag.pointwise, torch.Tag.reduction)
_USER_LINE = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+)')


def describe(
    name: str,
    model: nn.Module,
    graph: fx.Graph,
    parameter_names: Mapping[str, str],
    input_names: tuple[str, ...],
) -> Network:
    """Describe a traced graph; ``parameter_names`` maps placeholders to the model's own names."""
    names = first_names(model)
    held = {node: names.get(parameter, parameter) for node, parameter in parameter_names.items()}
    namer = _LayerNames(model)
    operators = tuple(
        _operator(node, held, namer) for node in graph.nodes if node.op == "call_function" and is_tensor(node)
    )
    output = next(node for node in graph.nodes if node.op == "output")
    placeholders = {node.name: node for node in graph.nodes if node.op == "placeholder"}
    return Network(
        name=name,
        inputs=tuple((node, shape_of(placeholders[node])) for node in input_names),
        operators=operators,
        outputs=tuple(resolve(node).name for node in output.args[0] if isinstance(node, fx.Node)),
        parameters=_parameters(model, graph, held),
        module_types=module_types(model),
        whole_valued=frozenset(node.name for node in graph.nodes if _is_whole_valued(node)),
    )


def _is_whole_valued(node: fx.Node) -> bool:
    value = node.meta.get("val")
    return isinstance(value, Tensor | Value) and not value.dtype.is_floating_point


def module_types(model: nn.Module) -> tuple[tuple[str, str], ...]:
    """Path and class name of every submodule."""
    return tuple((path, type(module).__name__) for path, module in model.named_modules())


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
    if base in ("clone", "alias", "detach") and "Dropout" in _module_call(node)[2]:
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
    first, second = (_is_held(argument, held) for argument in product.args[:2])
    is_data = first and second and operand is product.args[0] and operand is not product.args[1]
    return _is_held(operand, held) and not is_data


def _is_held(node: object, held: Container[str]) -> bool:
    behind = parameter_behind(node)
    return behind is not None and behind.name in held


def _operator(node: fx.Node, held: Mapping[str, str], namer: "_LayerNames") -> Operator:
    kind = kind_of(node)
    inputs, parameters, shapes = [], [], []
    for argument in node.all_input_nodes:
        behind = parameter_behind(argument)
        if behind is not None and behind.name in held:
            parameters.append(held[behind.name])
        elif isinstance(argument.meta.get("val"), Tensor | Value | list | tuple):
            inputs.append(resolve(argument).name)
            shapes.append(shape_of(argument))
    attributes = _attributes(node, held)
    weight = dict(attributes).get("weight")
    path, call, module_type = _module_call(node)
    return Operator(
        name=node.name,
        kind=kind,
        target=str(node.target),
        layer=namer.name(kind, path, call, weight if isinstance(weight, str) else None),
        module=path,
        module_type=module_type,
        inputs=tuple(inputs),
        parameters=tuple(parameters),
        input_shapes=tuple(shapes),
        output_shape=shape_of(node),
        attributes=attributes,
        source=source_line(node),
        has_no_products=any(tag in WITHOUT_PRODUCTS for tag in getattr(node.target, "tags", ())),
    )


def _attributes(node: fx.Node, held: Mapping[str, str]) -> tuple[tuple[str, Attribute], ...]:
    """Constant arguments by their names in ATen's schema; parameters as the model's names."""
    target = node.target
    if not isinstance(target, torch._ops.OpOverload):
        return tuple(("index", a) for a in node.args[1:2] if isinstance(a, int))
    found: dict[str, Attribute] = {}
    schema = target._schema.arguments
    given = {**{a.name: v for a, v in zip(schema, node.args, strict=False)}, **node.kwargs}
    for argument in schema:
        value = given.get(argument.name, argument.default_value if argument.has_default_value() else None)
        behind = parameter_behind(value)
        if behind is not None:
            if behind.name in held:
                is_matmul = kind_of(node) == "matmul"
                found["weight" if is_matmul else argument.name] = held[behind.name]
                if is_matmul and value is node.args[0] and not _is_held(node.args[1], held):
                    found["weight_is_first"] = True
        elif isinstance(value, bool | int | float | str):
            found[argument.name] = value
        elif isinstance(value, list | tuple) and all(isinstance(v, int) for v in value):
            found[argument.name] = tuple(value)
    if kind_of(node) == "scaled_dot_product_attention":
        found["operands"] = _positions(node, held)
    if kind_of(node) in RECURRENT_KINDS:
        found |= _sizes_inside(given)
    return tuple(found.items())


def _positions(node: fx.Node, held: Mapping[str, str]) -> tuple[int, ...]:
    """Where query, key and value are among the inputs, of which one may be several; -1 for a parameter."""
    behind = {argument: parameter_behind(argument) for argument in node.all_input_nodes}
    inputs = [a for a in node.all_input_nodes if (found := behind[a]) is None or found.name not in held]
    return tuple(inputs.index(a) if a in inputs else -1 for a in node.args[:3] if isinstance(a, fx.Node))


def _sizes_inside(given: Mapping[str, Any]) -> dict[str, Attribute]:
    """Elements of a recurrent layer's matrices, biases and gates, over all its layers and directions."""
    shapes = [tuple(int(size) for size in tensor.meta["val"].shape) for tensor in given["params"]]
    cells = int(given["num_layers"]) * (2 if given["bidirectional"] else 1)
    first_of_each = shapes[:: len(shapes) // cells]
    return {
        "matrix_elements": sum(prod(shape) for shape in shapes if len(shape) == MATRIX),
        "bias_elements": sum(prod(shape) for shape in shapes if len(shape) != MATRIX),
        "gate_elements": sum(rows for rows, _ in first_of_each),
    }


def _module_call(node: fx.Node) -> tuple[str, str, str]:
    """Path of the module that called the operator, the key of that call, and the module's class name."""
    stack = node.meta.get("nn_module_stack") or {}
    if not stack:
        return "", "", ""
    key, (path, module_type) = list(stack.items())[-1]
    class_name = module_type if isinstance(module_type, str) else module_type.__name__
    if class_name.startswith("_empty_nn_module_stack"):
        return "", "", ""
    return str(path).split("@")[0], str(key), class_name.split(".")[-1]


def source_line(node: fx.Node) -> str | None:
    """The user's line that a node came from, as ``model.py:88``, where it is known."""
    lines = [
        match
        for match in _USER_LINE.finditer(node.meta.get("stack_trace") or "")
        if "/torch/" not in match["file"]
    ]
    return f"{lines[-1]['file'].rsplit('/', 1)[-1]}:{lines[-1]['line']}" if lines else None


class _LayerNames:
    """Gives each operator the name by which plans address it."""

    def __init__(self, model: nn.Module) -> None:
        self._modules = dict(model.named_modules())
        self._counts: dict[tuple[str, str], int] = {}

    def name(self, kind: str, path: str, call: str, weight: str | None) -> str:
        if weight is not None and kind in PRODUCT_KINDS:
            return layer_of(weight)
        module = self._modules.get(path)
        is_leaf = path and module is not None and not any(True for _ in module.children())
        if is_leaf and type(module).__module__.startswith("torch.nn"):
            return path
        count = self._counts.get((call, kind), 0)
        self._counts[call, kind] = count + 1
        own = kind if count == 0 else f"{kind}_{count}"
        return f"{path}.{own}" if path else own


def first_names(model: nn.Module) -> dict[str, str]:
    """The first name of every parameter and buffer, by each of its names."""
    first: dict[int, str] = {}
    names: dict[str, str] = {}
    for named in (model.named_parameters, model.named_buffers):
        for name, tensor in named(remove_duplicate=False):
            names[name] = first.setdefault(id(tensor), name)
    return names


def _parameters(model: nn.Module, graph: fx.Graph, held: Mapping[str, str]) -> tuple[Parameter, ...]:
    """Everything the model holds, used or not, and the constants that tracing found."""
    listed = {name: Parameter(name, tuple(tensor.shape)) for name, tensor in model.named_parameters()}
    listed |= {name: Parameter(name, tuple(tensor.shape), True) for name, tensor in model.named_buffers()}
    for node in graph.nodes:
        name = held.get(node.name)
        if node.op == "placeholder" and name is not None and name not in listed:
            listed[name] = Parameter(name, tuple(int(s) for s in node.meta["val"].shape), True)
    return tuple(listed.values())
