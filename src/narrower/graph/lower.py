"""The deployed form of a network: the operators that are scored and exported.

Runtimes compute batch norm, biased products and fused attention with other roundings than PyTorch's module
does. After a quantizer a last bit can become a whole step. So a program is lowered to operators whose result
is the same everywhere: batch norm is a multiplication and an addition for each channel, a bias is added after
its product, attention is two products around a softmax, a mean is a sum of halves, dropout is gone.
"""

from dataclasses import replace
from math import prod, sqrt

import torch
from torch import Tensor, fx

from narrower.graph.edges import SOFTMAX, edges_of
from narrower.graph.network import ROUNDED_KINDS
from narrower.graph.nodes import base_name, kind_of
from narrower.graph.program import Program

aten = torch.ops.aten

# On the multiplication and the addition of a batch norm: the traced operator that they stand for.
NORM_SCALE, NORM_SHIFT = "norm_scale", "norm_shift"


def lower(program: Program) -> Program:
    """Return the deployed form of a traced program.

    Each node that reads something a plan can round carries ``meta["layer"]``, the name by which plans address
    it; the addition of its bias carries the same name. The last node that writes an edge carries its name as
    ``meta["edge"]``. A program without a graph stays as it is.
    """
    return program if program.untraced is not None else _lowered(program)


def _lowered(program: Program) -> Program:
    copied = program.copy()
    graph, tensors, names = copied.graph, dict(copied.tensors), dict(copied.parameter_names)
    layers = {operator.name: operator.layer for operator in program.network.operators}
    _mark_edges(program, graph)
    for node in [node for node in graph.nodes if node.op == "call_function"]:
        kind = kind_of(node)
        if kind in ROUNDED_KINDS:
            node.meta["layer"] = layers[node.name]
        if (eps := _eps_of_fixed_statistics(node, kind)) is not None:
            names |= _lower_batch_norm(graph, node, tensors, layers[node.name], eps)
        elif kind == "dropout":
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)
        elif kind == "scaled_dot_product_attention":
            _lower_attention(graph, node)
        elif kind in ("mean", "adaptive_avg_pool1d", "adaptive_avg_pool2d"):
            _lower_mean(graph, node, kind)
        elif kind == "view":  # a product of attention has other strides than the fused operator
            node.target = aten.reshape.default
        elif kind in BIAS_ARGUMENT and len(node.args) > BIAS_ARGUMENT[kind]:
            _lower_bias(graph, node, BIAS_ARGUMENT[kind])
    for node in reversed(list(graph.nodes)):
        if node.op == "call_function" and not node.users:
            graph.erase_node(node)
    graph.lint()
    return replace(copied, tensors=tensors, parameter_names=names)


def _mark_edges(program: Program, graph: fx.Graph) -> None:
    edges = {edge.writer: edge.name for edge in edges_of(program.network).edges}
    for original, node in zip(program.graph.nodes, graph.nodes, strict=True):  # a copy may rename inputs
        if original.name in edges:
            node.meta["edge"] = edges[original.name]


BIAS_ARGUMENT = {
    "linear": 2,
    "conv1d": 2,
    "conv2d": 2,
    "conv3d": 2,
    "conv_transpose1d": 2,
    "conv_transpose2d": 2,
    "conv_transpose3d": 2,
}


def is_bias_addition(node: fx.Node) -> bool:
    """Whether the node adds the bias of a product."""
    return "bias_of" in node.meta


def _new_tensor(graph: fx.Graph, name: str, value: Tensor, tensors: dict[str, Tensor]) -> fx.Node:
    with graph.inserting_before(next(iter(graph.nodes))):
        node = graph.placeholder(name)
    node.meta["val"] = value
    tensors[node.name] = value
    return node


def _eps_of_fixed_statistics(node: fx.Node, kind: str) -> float | None:
    """The epsilon of a norm by running statistics; None for everything else."""
    position = {"batch_norm": 6, "instance_norm": 7}.get(kind)
    uses_its_input = kind == "instance_norm" and bool(node.args[5])
    if position is None or uses_its_input:
        return None
    eps = node.args[position]
    assert isinstance(eps, float)
    return eps


def _lower_batch_norm(
    graph: fx.Graph, node: fx.Node, tensors: dict[str, Tensor], layer: str, eps: float
) -> dict[str, str]:
    """``(x - mean) / sqrt(variance + eps) * weight + bias`` as ``x * scale + shift``.

    Both constants are computed in double precision and rounded once. Returns their names. Where one of the
    operands is computed, the operator stays as it is.
    """
    x, weight, bias, mean, variance = node.args[:5]
    if any(isinstance(a, fx.Node) and a.name not in tensors for a in (weight, bias, mean, variance)):
        return {}
    values = [
        tensors[a.name].double() if isinstance(a, fx.Node) else None for a in (weight, bias, mean, variance)
    ]
    assert isinstance(x, fx.Node)
    running_mean, running_variance = values[2], values[3]
    assert running_mean is not None
    assert running_variance is not None
    scale = (
        (running_variance + eps).rsqrt() if values[0] is None else values[0] / (running_variance + eps).sqrt()
    )
    shift = -running_mean * scale if values[1] is None else values[1] - running_mean * scale
    dimensions = len(x.meta["val"].shape)
    shape = (-1, *(1 for _ in range(dimensions - 2)))
    scale_node = _new_tensor(graph, f"{node.name}_scale", scale.float().reshape(shape), tensors)
    shift_node = _new_tensor(graph, f"{node.name}_shift", shift.float().reshape(shape), tensors)
    with graph.inserting_before(node):
        product = _call(graph, node, aten.mul.Tensor, (x, scale_node), like=x)
        result = _call(graph, node, aten.add.Tensor, (product, shift_node), like=x)
    product.meta[NORM_SCALE], result.meta[NORM_SHIFT] = node.name, node.name
    _write_edge(node, result)
    shown = [user for user in node.users if base_name(user) == "getitem"] or [node]
    for user in shown:
        user.replace_all_uses_with(result)
        graph.erase_node(user)
    if shown != [node]:
        graph.erase_node(node)
    return {scale_node.name: f"{layer}.scale", shift_node.name: f"{layer}.shift"}


def _lower_bias(graph: fx.Graph, node: fx.Node, position: int) -> None:
    """A product with a bias as the product, then the addition of the bias."""
    bias = node.args[position]
    if not isinstance(bias, fx.Node):
        return
    node.args = (*node.args[:position], None, *node.args[position + 1 :])
    with graph.inserting_after(node):
        addend = bias
        if base_name(node) != "linear":
            shape = [-1, *(1 for _ in range(len(node.meta["val"].shape) - 2))]
            addend = graph.call_function(aten.reshape.default, (bias, shape))
            addend.meta["val"] = bias.meta["val"].reshape(shape)
    with graph.inserting_after(node if addend is bias else addend):
        addition = graph.call_function(aten.add.Tensor, (node, addend))
    addition.meta = {**node.meta, "bias_of": node.meta["layer"]}
    addition.meta.pop("layer")
    _write_edge(node, addition)
    node.replace_all_uses_with(addition, delete_user_cb=lambda user: user is not addition)


def _lower_mean(graph: fx.Graph, node: fx.Node, kind: str) -> None:
    """A mean as additions of halves, in an order that every runtime keeps, and one multiplication."""
    x = node.args[0]
    assert isinstance(x, fx.Node)
    shape = x.meta["val"].shape
    if kind == "mean":
        given = node.args[1] if len(node.args) > 1 else None
        keeps = len(node.args) > 2 and bool(node.args[2])  # noqa: PLR2004 - mean(x, dim, keepdim)
        if not isinstance(given, list | tuple) or not given or node.kwargs:
            return
        dimensions = sorted(int(d) % len(shape) for d in given if isinstance(d, int))
    else:
        keeps = True
        spatial = 2 if kind.endswith("2d") else 1
        if any(size != 1 for size in node.args[1]):  # type: ignore[union-attr]
            return
        dimensions = list(range(len(shape) - spatial, len(shape)))
    sizes = [shape[d] for d in dimensions]
    if not all(isinstance(size, int) for size in sizes):
        return
    with graph.inserting_before(node):
        value = x
        for dimension, size in zip(dimensions, sizes, strict=True):
            value = _sum_of_halves(graph, node, value, dimension, size)
        result = _call(graph, node, aten.mul.Tensor, (value, 1 / prod(sizes)), like=node if keeps else None)
        if not keeps:
            result = _call(graph, node, aten.squeeze.dims, (result, dimensions), like=node)
    result.meta["mean_of"] = x.name, tuple(dimensions), keeps
    _write_edge(node, result)
    node.replace_all_uses_with(result)
    graph.erase_node(node)


def _sum_of_halves(graph: fx.Graph, origin: fx.Node, value: fx.Node, dimension: int, size: int) -> fx.Node:
    def part(start: int, end: int) -> fx.Node:
        return _call(graph, origin, aten.slice.Tensor, (value, dimension, start, end), like=None)

    while size > 1:
        half = size // 2
        added = _call(graph, origin, aten.add.Tensor, (part(0, half), part(half, 2 * half)), like=None)
        if size % 2:
            rest = part(2 * half, size)
            added = _call(graph, origin, aten.cat.default, ([added, rest], dimension), like=None)
        value, size = added, half + size % 2
    return value


def _lower_attention(graph: fx.Graph, node: fx.Node) -> None:
    """``softmax(q k' * scale + mask) v`` as its two products (Vaswani et al. 2017, eq. 1)."""
    arguments = list(node.args) + [None] * (6 - len(node.args))
    query, key, value, mask = arguments[:4]
    keys = key
    is_causal = node.kwargs.get("is_causal", arguments[5])
    assert isinstance(query, fx.Node)
    assert isinstance(key, fx.Node)
    assert isinstance(keys, fx.Node)
    assert isinstance(value, fx.Node)
    mask = node.kwargs.get("attn_mask", mask)
    scale = node.kwargs.get("scale")
    head_size = query.meta["val"].shape[-1]
    factor = float(scale) if isinstance(scale, int | float) else 1 / sqrt(head_size)
    layer = node.meta["layer"]
    with graph.inserting_before(node):
        if node.kwargs.get("enable_gqa"):
            times = query.meta["val"].shape[-3] // key.meta["val"].shape[-3]
            key, value = (_repeated_heads(graph, node, heads, times) for heads in (key, value))
        transposed = _call(graph, node, aten.transpose.int, (key, -2, -1), like=None)
        scores = _call(graph, node, aten.matmul.default, (query, transposed), like=None)
        scores.meta["layer"] = layer
        scaled = _call(graph, node, aten.mul.Tensor, (scores, factor), like=None)
        if is_causal:
            sizes = [int(operand.meta["val"].shape[-2]) for operand in (query, keys)]
            ones = graph.call_function(aten.ones.default, (sizes,), {"dtype": torch.bool})
            upper = graph.call_function(aten.triu.default, (ones, 1))
            scaled = graph.call_function(aten.masked_fill.Scalar, (scaled, upper, float("-inf")))
        elif isinstance(mask, fx.Node):
            if mask.meta["val"].dtype == torch.bool:
                hidden = graph.call_function(aten.logical_not.default, (mask,))
                scaled = graph.call_function(aten.masked_fill.Scalar, (scaled, hidden, float("-inf")))
            else:
                scaled = graph.call_function(aten.add.Tensor, (scaled, mask))
        weights = _call(graph, node, aten.softmax.int, (scaled, -1), like=None)
        if "edge" in node.meta:
            weights.meta["edge"] = node.meta["edge"] + SOFTMAX
        result = _call(graph, node, aten.matmul.default, (weights, value), like=node)
        result.meta["layer"] = layer
    _write_edge(node, result)
    node.replace_all_uses_with(result)
    graph.erase_node(node)


def _repeated_heads(graph: fx.Graph, node: fx.Node, heads: fx.Node, times: int) -> fx.Node:
    """Each head [..., heads, steps, size] so many times, one after another: a group of queries shares it."""
    dimensions = heads.meta["val"].dim()
    sizes = [-1] * (dimensions - 2) + [times, -1, -1]
    apart = _call(graph, node, aten.unsqueeze.default, (heads, -3), like=None)
    repeated = _call(graph, node, aten.expand.default, (apart, sizes), like=None)
    return _call(graph, node, aten.flatten.using_ints, (repeated, -4, -3), like=None)


def _write_edge(node: fx.Node, last: fx.Node) -> None:
    """Let the edge that a node writes be that of the last of the nodes in its place."""
    if "edge" in node.meta:
        last.meta["edge"] = node.meta.pop("edge")


def _call(
    graph: fx.Graph, origin: fx.Node, target: object, arguments: tuple[object, ...], like: fx.Node | None
) -> fx.Node:
    """Insert a call that keeps the origin's source line; its value's shape is that of ``like``."""
    node: fx.Node = graph.call_function(target, arguments)  # type: ignore[arg-type]
    node.meta = {key: value for key, value in origin.meta.items() if key not in ("layer", "edge", "val")}
    if like is not None:
        node.meta["val"] = like.meta["val"]
    return node
