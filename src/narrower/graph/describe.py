"""From an ATen graph to the torch-free picture of its network."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn

from narrower.graph.folded_network import layer_of
from narrower.graph.network import (
    PRODUCT_KINDS,
    RECURRENT_KINDS,
    TABLE_KINDS,
    Attribute,
    Network,
    Operator,
    Parameter,
)
from narrower.graph.nodes import (
    is_held,
    is_tensor,
    kind_of,
    module_call,
    parameter_behind,
    resolve,
    shape_of,
    source_line,
)
from narrower.graph.recurrent_sizes import sizes_inside
from narrower.graph.values import Value

WITHOUT_PRODUCTS = (torch.Tag.pointwise, torch.Tag.reduction)


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
    path, call, module_type = module_call(node)
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
                if is_matmul and value is node.args[0] and not is_held(node.args[1], held):
                    found["weight_is_first"] = True
        elif isinstance(value, bool | int | float | str):
            found[argument.name] = value
        elif isinstance(value, list | tuple) and all(isinstance(v, int) for v in value):
            found[argument.name] = tuple(value)
    if kind_of(node) == "scaled_dot_product_attention":
        found["operands"] = _positions(node, held)
    if kind_of(node) in RECURRENT_KINDS:
        held_inside: Any = given["params"]
        shapes = [tuple(int(size) for size in tensor.meta["val"].shape) for tensor in held_inside]
        found |= sizes_inside(shapes, found["num_layers"], found["bidirectional"])
    return tuple(found.items())


def _positions(node: fx.Node, held: Mapping[str, str]) -> tuple[int, ...]:
    """Where query, key and value are among the inputs, of which one may be several; -1 for a parameter."""
    behind = {argument: parameter_behind(argument) for argument in node.all_input_nodes}
    inputs = [a for a in node.all_input_nodes if (found := behind[a]) is None or found.name not in held]
    return tuple(inputs.index(a) if a in inputs else -1 for a in node.args[:3] if isinstance(a, fx.Node))


class _LayerNames:
    """Gives each operator the name by which plans address it."""

    def __init__(self, model: nn.Module) -> None:
        self._modules = dict(model.named_modules())
        self._counts: dict[tuple[str, str], int] = {}

    def name(self, kind: str, path: str, call: str, weight: str | None) -> str:
        if weight is not None and kind in PRODUCT_KINDS | TABLE_KINDS:
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
