"""Products that PyTorch keeps in larger operators, taken apart so that they can be counted and rounded."""

from collections.abc import Callable, Container
from functools import cache
from typing import Any

import torch
from torch import Tensor, fx
from torch.export import default_decompositions
from torch.nn import functional as F

from narrower.graph.nodes import base_name, parameter_behind

aten = torch.ops.aten

# Operators that are nothing but products, views and functions of single elements.
COMPOSITES: tuple[Any, ...] = (
    aten.einsum.default,
    aten.tensordot.default,
    aten.inner.default,
    aten.linalg_vecdot.default,
    aten.linalg_multi_dot.default,
    aten.chain_matmul.default,
    aten.linalg_matmul.default,
    aten.gru_cell.default,
    aten.lstm_cell.default,
    aten.rnn_tanh_cell.default,
    aten.rnn_relu_cell.default,
)
Decompositions = dict[Any, Callable[..., Any]]


def decompositions(graph: fx.Graph) -> Decompositions:
    """How the composite operators of a graph are to be taken apart."""
    targets = {node.target for node in graph.nodes}
    found: Decompositions = {op: _by_pytorch()[op] for op in COMPOSITES if op in targets}
    if aten.bilinear.default in targets:
        found[aten.bilinear.default] = _bilinear
    return found


@cache
def _by_pytorch() -> Decompositions:
    table: Decompositions = default_decompositions().materialize()
    return table


def _bilinear(x: Tensor, y: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x W[o] y`` for each output o: a linear layer on x, and a product of its result with y."""
    outputs, left, right = weight.shape
    rows = weight.permute(0, 2, 1).reshape(outputs * right, left)
    mixed = F.linear(x, rows).reshape(*x.shape[:-1], outputs, right)
    product = torch.matmul(mixed, y.unsqueeze(-1)).squeeze(-1)
    return product if bias is None else product + bias


def split_fused_products(graph: fx.Graph, held: Container[str]) -> None:
    """Write products that are fused with an addition as a product and an addition, in place.

    ``held`` names the placeholders that are the model's tensors. ``addmm(bias, x, weight)`` with a parameter
    for a weight becomes ``linear(x, weight', bias)``.
    """
    for node in list(graph.nodes):
        if node.op == "call_function" and base_name(node) in FUSED:
            _split(graph, node, held)


FUSED = frozenset({"addmm", "baddbmm", "addbmm", "addmv"})


def _split(graph: fx.Graph, node: fx.Node, held: Container[str]) -> None:
    addend, left, right = (node.args[position] for position in range(3))
    assert isinstance(addend, fx.Node)
    assert isinstance(left, fx.Node)
    assert isinstance(right, fx.Node)
    beta, alpha = (node.kwargs.get(name, 1) for name in ("beta", "alpha"))
    is_held = [
        (behind := parameter_behind(x)) is not None and behind.name in held for x in (addend, left, right)
    ]
    with graph.inserting_before(node):
        if base_name(node) == "addmm" and is_held[1:] == [False, True]:
            transposed = _call(graph, node, aten.t.default, (right,), right.meta["val"].t())
            is_bias = is_held[0] and addend.meta["val"].dim() == 1 and beta == alpha == 1
            arguments = (left, transposed, addend) if is_bias else (left, transposed)
            result = _call(graph, node, aten.linear.default, arguments, node.meta["val"])
            addend = None if is_bias else addend
        else:
            result = _product(graph, node, left, right)
        value = node.meta["val"]
        if alpha != 1:
            result = _call(graph, node, aten.mul.Tensor, (result, alpha), value)
        if addend is not None and beta != 0:
            if beta != 1:
                addend = _call(graph, node, aten.mul.Tensor, (addend, beta), addend.meta["val"])
            result = _call(graph, node, aten.add.Tensor, (result, addend), value)
    node.replace_all_uses_with(result)
    graph.erase_node(node)


def _product(graph: fx.Graph, node: fx.Node, left: fx.Node, right: fx.Node) -> fx.Node:
    value = node.meta["val"]
    if base_name(node) != "addbmm":
        return _call(graph, node, aten.matmul.default, (left, right), value)
    batched = value.new_empty((left.meta["val"].shape[0], *value.shape))
    product = _call(graph, node, aten.matmul.default, (left, right), batched)
    return _call(graph, node, aten.sum.dim_IntList, (product, [0]), value)


def _call(
    graph: fx.Graph, origin: fx.Node, target: Any, arguments: tuple[Any, ...], value: Tensor
) -> fx.Node:
    """Insert a call that belongs to the same module and source line as ``origin``."""
    node = graph.call_function(target, arguments)
    node.meta = {**origin.meta, "val": value}
    return node
