"""The form of a program under a plan with edges that ONNX Runtime computes in integer kernels.

A product with its bias, the ReLU after it and the rounding of what it writes are one kernel there; an average
over an image is another. Lowering took these apart, so that float32 gives the same result everywhere; where
all operands are bytes they are put together again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx

from narrower.evaluate.processor import saturates_pairs
from narrower.export.edge_bytes import (
    ByteScale,
    ProductBytes,
    WeightBytes,
    bias_integers,
    byte_scale,
    weight_bytes,
)
from narrower.export.integers import INT32_LIMIT
from narrower.export.pair_sums import PAIR, PAIR_LIMIT
from narrower.graph.arguments import argument
from narrower.graph.edges import MOVES, edges_of
from narrower.graph.nodes import base_name
from narrower.graph.program import Program
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.plan import Plan
from narrower.transform.quantizers.quantize import quantize

aten = torch.ops.aten
CONVOLUTIONS = frozenset({"conv1d", "conv2d"})
POOLS: Mapping[int, Any] = {1: aten.adaptive_avg_pool1d.default, 2: aten.adaptive_avg_pool2d.default}
RANK_OF_ROWS = 2


@dataclass(frozen=True)
class IntegerForm:
    """What is computed in bytes.

    ``edges`` holds for the nodes that write bytes how these are stored, ``products`` the operands of
    integer kernels. ``saturating`` names the layers whose pairs of products can pass 16 bits, ``inexact``
    what is rounded otherwise than in our evaluation, each with the reason, ``fine_biases`` the layers that
    stay in float32 because their biases are finer than steps of their products.
    """

    edges: Mapping[fx.Node, ByteScale] = field(default_factory=dict)
    products: Mapping[fx.Node, ProductBytes] = field(default_factory=dict)
    saturating: tuple[str, ...] = ()
    inexact: tuple[str, ...] = ()
    fine_biases: tuple[str, ...] = ()


def to_integer_form(program: Program, plan: Plan) -> IntegerForm:
    """Put together what integer kernels compute, in the graph of ``program``, which is the caller's own."""
    if not plan.outputs:
        return IntegerForm()
    return _Rewriting(program, plan).done()


class _Rewriting:
    def __init__(self, program: Program, plan: Plan) -> None:
        self._graph, self._tensors, self._plan = program.graph, program.tensors, plan
        positive = {edge.name: edge.has_no_sign for edge in edges_of(program.network).edges}
        self._edges: dict[fx.Node, ByteScale] = {}
        for node in self._graph.nodes:
            if "edge" in node.meta:
                name = node.meta["edge"]
                number_format = plan.layer(name).output
                stored = byte_scale(number_format, has_no_sign=positive[name])
                if stored is not None and number_format != FLOAT32:
                    self._edges[node] = stored
        self._products: dict[fx.Node, ProductBytes] = {}
        self._saturating: list[str] = []
        self._inexact: list[str] = []
        self._fine_biases: list[str] = []

    def done(self) -> IntegerForm:
        for node in list(self._graph.nodes):
            if "mean_of" in node.meta and node in self._edges:
                self._pool(node)
        for node in list(self._edges):
            self._drop_cutting(node)
        for node in list(self._graph.nodes):
            if node.op == "call_function" and "layer" in node.meta:
                self._product(node)
        for node in reversed(list(self._graph.nodes)):
            if node.op == "call_function" and not node.users:
                self._edges.pop(node, None)
                self._graph.erase_node(node)
        free = [
            node.meta["edge"]
            for node, stored in self._edges.items()
            if not _are_powers(np.array(stored.scale, np.float32))
        ]
        self._inexact += [f"{name}: the scale of its output is no power of two" for name in free]
        saturating = tuple(dict.fromkeys(self._saturating))
        return IntegerForm(
            self._edges, self._products, saturating, tuple(self._inexact), tuple(self._fine_biases)
        )

    def _behind(self, value: object) -> fx.Node | None:
        """The node that writes the bytes that a value holds; None where it holds none."""
        while isinstance(value, fx.Node) and value not in self._edges:
            is_move = value.op == "call_function" and "edge" not in value.meta and _is_move(value)
            value = value.args[0] if is_move else None
        return value if isinstance(value, fx.Node) else None

    def _move_edge(self, node: fx.Node, to: fx.Node, stored: ByteScale) -> None:
        to.meta["edge"] = node.meta.pop("edge")
        del self._edges[node]
        self._edges[to] = stored

    def _drop_cutting(self, node: fx.Node) -> None:
        """Let the smallest and largest byte cut off what ReLU and clamps before them do."""
        stored = self._edges[node]
        while (bounds := _bounds(node)) is not None:
            source = node.args[0]
            assert isinstance(source, fx.Node)
            if len(source.users) > 1 or source.op != "call_function" or "edge" in source.meta:
                return
            stored = stored.within(*bounds)
            node.replace_all_uses_with(source)
            self._move_edge(node, source, stored)
            self._graph.erase_node(node)
            node = source

    def _pool(self, node: fx.Node) -> None:
        """An average over whole images as one operator."""
        name, dimensions, keeps = node.meta["mean_of"]
        x = next(each for each in self._graph.nodes if each.name == name)
        rank, target = x.meta["val"].dim(), POOLS.get(len(dimensions))
        if target is None or dimensions != tuple(range(2, rank)) or self._behind(x) is None:
            return
        with self._graph.inserting_before(node):
            pool = self._graph.call_function(target, (x, [1] * len(dimensions)))
            pool.meta["val"] = x.meta["val"].new_empty((*x.meta["val"].shape[:2], *(1 for _ in dimensions)))
            result = pool
            if not keeps:
                result = self._graph.call_function(aten.squeeze.dims, (pool, list(dimensions)))
                result.meta["val"] = node.meta["val"]
        node.replace_all_uses_with(result)
        self._move_edge(node, pool, self._edges[node])
        count = prod(size for size in x.meta["val"].shape[2:] if isinstance(size, int))
        if count & (count - 1):
            self._inexact.append(f"{pool.meta['edge']}: a mean of {count} numbers, no power of two")

    def _product(self, node: fx.Node) -> None:
        """A convolution or a linear layer on rows, with its bias, as one kernel."""
        kind = base_name(node)
        is_linear = kind == "linear" and node.meta["val"].dim() == RANK_OF_ROWS
        if not is_linear and kind not in CONVOLUTIONS:
            return
        layer = self._plan.layer(node.meta["layer"])
        source, weight = self._behind(node.args[0]), self._tensor(argument(node, "weight"))
        if layer.data != FLOAT32 or source is None or weight is None:
            return
        held = weight_bytes(weight, layer.weight)
        result = next((user for user in node.users if "bias_of" in user.meta and user.args[0] is node), node)
        is_alone = result is node or len(node.users) == 1
        if held is None or not is_alone or not (is_linear or result in self._edges):
            return
        if _can_saturate(self._edges[source], held):
            self._saturating.append(node.meta["layer"])
            if saturates_pairs():
                return
        product = self._biased(node, result, self._edges[source], held)
        if product is None:
            return
        if result is not node:
            result.replace_all_uses_with(node)
            if result in self._edges:
                self._move_edge(result, node, self._edges[result])
            elif "edge" in result.meta:
                node.meta["edge"] = result.meta.pop("edge")
        self._products[node] = product

    def _biased(
        self, node: fx.Node, result: fx.Node, edge: ByteScale, weight: WeightBytes
    ) -> ProductBytes | None:
        """The operands of a kernel with the bias of a product; None where that is not to be added inside."""
        if result is node:
            return ProductBytes(weight)
        layer, bias = node.meta["layer"], self._tensor(result.args[1])
        if bias is None:
            return None
        rounded = quantize(bias.detach().float(), self._plan.layer(layer).bias).flatten()
        integers, step = bias_integers(rounded, edge, weight)
        if np.abs(integers).max(initial=0) >= INT32_LIMIT:
            return None
        if (integers * step.astype(np.float64) != rounded.double().numpy()).any():
            if _are_powers(step):  # all else is exact
                self._fine_biases.append(layer)
                return None
            self._inexact.append(f"{layer}: its bias is rounded to steps of its products")
        return ProductBytes(weight, integers, step)

    def _tensor(self, value: object) -> Tensor | None:
        """A parameter, or one in another shape."""
        while isinstance(value, fx.Node) and base_name(value) == "reshape":
            value = value.args[0]
        return self._tensors.get(value.name) if isinstance(value, fx.Node) else None


def _is_move(node: fx.Node) -> bool:
    kind = base_name(node)
    return kind in MOVES or (kind.startswith("max_pool") and "with_indices" not in kind)


def _bounds(node: fx.Node) -> tuple[float, float] | None:
    """Between which numbers an operator cuts values off; None where it does something else."""
    kind = base_name(node)
    if kind == "relu":
        return 0.0, inf
    if kind == "relu6":
        return 0.0, 6.0
    names = {"hardtanh": ("min_val", "max_val"), "clamp": ("min", "max"), "clamp_min": ("min", "")}.get(kind)
    if names is None or (isinstance(node.args[0], fx.Node) and len(node.all_input_nodes) > 1):
        return None
    low, high = (argument(node, name) if name else None for name in names)
    return -inf if low is None else float(low), inf if high is None else float(high)


def _are_powers(scales: NDArray[np.float32]) -> bool:
    """Whether scales are powers of two, with which integer kernels round as our evaluation does."""
    return bool((np.frexp(scales)[0] == 0.5).all())  # noqa: PLR2004


def _can_saturate(edge: ByteScale, weight: WeightBytes) -> bool:
    rows = weight.integers.reshape(len(weight.integers), -1)
    ordered = np.sort(rows, axis=1)
    lowest = ordered[:, :PAIR].clip(max=0).sum(axis=1).min(initial=0)
    highest = ordered[:, -PAIR:].clip(min=0).sum(axis=1).max(initial=0)
    return edge.high * int(max(-lowest, highest)) > PAIR_LIMIT
