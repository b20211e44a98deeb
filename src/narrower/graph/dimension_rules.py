"""What each operator does to the channels of its operands."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch import Tensor, fx

from narrower.errors import ModelError
from narrower.graph.describe import base_name, shape_of, source_line
from narrower.graph.dimensions import (
    Dimension,
    Dimensions,
    Factor,
    Merger,
    flat,
    is_labelled,
    regrouped,
    size_of,
)
from narrower.graph.network import BatchSize

BATCH = 1_000_003  # stands for the batch size: a prime that no other size holds


class Labelling:
    """The dimensions of every tensor of a graph, found by walking through it."""

    def __init__(self, graph: fx.Graph, parameters: dict[str, str], packed: set[str]) -> None:
        """``parameters`` are names by placeholder; ``packed`` are those of three equal parts (q, k and v)."""
        self.merger = Merger()
        self.parameters: dict[str, Dimensions] = {}
        self.values: dict[str, Dimensions | tuple[Dimensions, ...]] = {}
        self.notes: list[tuple[Dimension, str]] = []  # what happens to channels beside being computed
        self.consumed: set[tuple[str, int]] = set()  # dimensions of parameters that products sum over
        self._own: set[tuple[str, int]] = set()  # dimensions of parameters that begin a row of channels
        self._names, self._packed = parameters, packed
        self._channel_dimensions: dict[str, int] = {}  # of kernels: what comes after is height and width
        for node in graph.nodes:
            self._visit(node)

    def _visit(self, node: fx.Node) -> None:
        if node.op == "placeholder":
            if node.name not in self._names:
                self.values[node.name] = self._plain(node)
        elif node.op == "call_function":
            rule = RULES.get(base_name(node))
            try:
                if rule is not None:
                    self.values[node.name] = rule(self, node)
                else:
                    self._give_up(node, f"{base_name(node)}{where(node)} has no rule for channels")
            except ModelError as error:
                self._give_up(node, f"{base_name(node)}{where(node)}: {error}")
        elif node.op == "output":
            for source in node.all_input_nodes:
                for value in _tensors(self.values.get(source.name, ())):
                    for dimension in value:
                        self.merger.fix(dimension, "it is an output of the model")

    @staticmethod
    def _plain(node: fx.Node) -> Dimensions:
        return tuple((Factor(size),) for size in sizes_of(node))

    def _give_up(self, node: fx.Node, reason: str) -> None:
        for source in node.all_input_nodes:
            for value in _tensors(self.of(source)):
                for dimension in value:
                    self.merger.fix(dimension, reason)
        found = node.meta.get("val")
        if isinstance(found, list | tuple):
            self.values[node.name] = tuple(
                tuple((Factor(int_size(size)),) for size in item.shape) if isinstance(item, Tensor) else ()
                for item in found
            )
        else:
            self.values[node.name] = self._plain(node)

    def of(self, node: Any) -> Dimensions:
        """The dimensions of an operand; a parameter gets labels of its own when first read."""
        if not isinstance(node, fx.Node):
            return ()
        if node.name in self.values:
            return self.values[node.name]  # type: ignore[return-value]
        if node.name not in self._names:
            return ()
        name = self._names[node.name]
        if name not in self.parameters:
            sizes = sizes_of(node)
            self.parameters[name] = tuple(
                (Factor(size, self._own_labels(name, position, size)),) for position, size in enumerate(sizes)
            )
        return self.parameters[name]

    def _own_labels(self, name: str, position: int, size: int) -> np.ndarray | None:
        if size == 1 or position >= self._channel_dimensions.get(name, position + 1):
            return None
        self._own.add((name, position))
        if position == 0 and name in self._packed:
            return np.tile(self.merger.new(size // 3), 3)
        return self.merger.new(size)

    def consume(self, node: Any, position: int) -> None:
        """A product sums over a dimension of a parameter."""
        if node.name in self._names:
            self.consumed.add((self._names[node.name], position))

    def is_kernel(self, node: Any) -> None:
        """Only the first two dimensions of a parameter are channels."""
        if node.name in self._names:
            self._channel_dimensions[self._names[node.name]] = 2

    @property
    def sources(self) -> list[tuple[str, int]]:
        """The dimensions of parameters in which channels begin: parameter and position."""
        return sorted(self._own)

    def bind(self, node: Any, position: int, dimension: Dimension) -> None:
        """A dimension of a parameter is the given one."""
        if not isinstance(node, fx.Node):
            return
        name = self._names.get(node.name)
        known = name is not None and name in self.parameters
        own = self.of(node)[position]
        if name is not None and not known and (name not in self._packed or position != 0):
            labels = flat(dimension) if is_labelled(dimension) else None
            dimensions = self.parameters[name]
            bound = (Factor(size_of(dimension), labels),)
            self.parameters[name] = (*dimensions[:position], bound, *dimensions[position + 1 :])
            self._own.discard((name, position))
            return
        self.merger.unite(own, dimension, f"{name or node.name} has a fixed size")

    def unify(self, node: fx.Node, operands: Sequence[Dimensions]) -> Dimensions:
        """Broadcast operands against each other."""
        rank = max((len(operand) for operand in operands), default=0)
        result: list[Dimension] = []
        for position in range(-rank, 0):
            found: Dimension | None = None
            for operand in operands:
                if len(operand) < -position or size_of(operand[position]) == 1:
                    continue
                own = operand[position]
                reason = f"{base_name(node)}{where(node)} adds what has a fixed size"
                found = own if found is None else self.merger.unite(found, own, reason)
            result.append(found if found is not None else (Factor(1),))
        return tuple(result)


def where(node: fx.Node) -> str:
    """`` at file.py:12`` where it is known."""
    source = source_line(node)
    return f" at {source}" if source else ""


def int_size(size: Any) -> int:
    """A size as a number, the batch size standing for itself."""
    if isinstance(size, int):
        return size
    expression = size.node.expr
    return int(expression.subs(dict.fromkeys(expression.free_symbols, BATCH)))


def sizes_of(node: fx.Node) -> list[int]:
    """The sizes of a node's tensor, the batch size as ``BATCH``."""
    return [size.multiple * BATCH if isinstance(size, BatchSize) else size for size in shape_of(node)]


def _tensors(value: Any) -> list[Dimensions]:
    """The tensors of a value: one, or several."""
    if value and all(isinstance(item, tuple) and all(isinstance(d, tuple) for d in item) for item in value):
        if value and value[0] and isinstance(value[0][0], Factor):
            return [value]
        return list(value)
    return [value] if value else []


Rule = Callable[[Labelling, fx.Node], Any]


def _argument(node: fx.Node, position: int, name: str, default: Any = None) -> Any:
    return node.args[position] if len(node.args) > position else node.kwargs.get(name, default)


def _same(labelling: Labelling, node: fx.Node) -> Dimensions:
    return labelling.of(node.args[0])


def _elementwise(labelling: Labelling, node: fx.Node) -> Dimensions:
    return labelling.unify(node, [labelling.of(source) for source in node.all_input_nodes])


def _linear(labelling: Labelling, node: fx.Node) -> Dimensions:
    x, weight, bias = node.args[0], node.args[1], _argument(node, 2, "bias")
    values = labelling.of(x)
    labelling.bind(weight, 1, values[-1])
    labelling.consume(weight, 1)
    outputs = labelling.of(weight)[0]
    labelling.bind(bias, 0, outputs)
    return (*values[:-1], outputs)


def _convolution(labelling: Labelling, node: fx.Node) -> Dimensions:
    x, bias = node.args[0], _argument(node, 2, "bias")
    weight: Any = node.args[1]
    base = base_name(node)
    transposed = base.startswith("conv_transpose") or (base == "convolution" and bool(node.args[6]))
    groups = {"convolution": (8, "groups")}.get(base, (6, "groups"))
    count = int(_argument(node, *groups, 1) or 1)
    labelling.is_kernel(weight)
    values, sizes = labelling.of(x), sizes_of(node)
    own, other = (1, 0) if transposed else (0, 1)
    if count == 1:
        labelling.bind(weight, other, values[1])
        labelling.consume(weight, other)
        outputs = labelling.of(weight)[own]
    elif not transposed and weight.meta["val"].shape[1] == 1:  # depthwise
        per_channel = int(weight.meta["val"].shape[0]) // count
        labels = np.repeat(flat(values[1]), per_channel) if is_labelled(values[1]) else None
        labelling.bind(weight, 0, (Factor(count * per_channel, labels),))
        outputs = labelling.of(weight)[0]
    else:
        outputs = _grouped(labelling, values[1], weight, own, other, count)
    labelling.bind(bias, 0, outputs)
    return (values[0], outputs, *((Factor(size),) for size in sizes[2:]))


def _grouped(
    labelling: Labelling, channels: Dimension, weight: Any, own: int, other: int, count: int
) -> Dimension:
    """The number of groups stays: the n-th channels of all groups move together."""
    merger = labelling.merger
    labelling.consume(weight, other)
    if is_labelled(channels):
        grid = flat(channels).reshape(count, -1)
        for row in grid[1:]:
            merger.same(grid[0], row)
        if other == 1:
            labelling.bind(weight, 1, (Factor(grid.shape[1], grid[0]),))
        else:
            labelling.bind(weight, 0, (Factor(grid.size, grid.ravel()),))
    outputs = labelling.of(weight)[own]
    if own == 0:
        grid = flat(outputs).reshape(count, -1)
        for row in grid[1:]:
            merger.same(grid[0], row)
        return outputs
    labels = outputs[0].labels
    return (Factor(size_of(outputs) * count, None if labels is None else np.tile(labels, count)),)


def _channel_norm(labelling: Labelling, node: fx.Node) -> Any:
    values = labelling.of(node.args[0])
    for parameter in node.args[1:5]:
        labelling.bind(parameter, 0, values[1])
    return values


def _layer_norm(labelling: Labelling, node: fx.Node) -> Dimensions:
    values = labelling.of(node.args[0])
    shape = node.args[1]
    assert isinstance(shape, list | tuple)
    for parameter in (_argument(node, 2, "weight"), _argument(node, 3, "bias")):
        for position in range(len(shape)):
            labelling.bind(parameter, position, values[position - len(shape)])
    for position in range(len(shape)):
        labelling.notes.append((values[position - len(shape)], f"layer norm{where(node)} averages over it"))
    return values


def _group_norm(labelling: Labelling, node: fx.Node) -> Dimensions:
    values = labelling.of(node.args[0])
    native = base_name(node) == "native_group_norm"
    count = int(node.args[6] if native else node.args[1])  # type: ignore[arg-type]
    if is_labelled(values[1]):
        grid = flat(values[1]).reshape(count, -1)
        for row in grid[1:]:
            labelling.merger.same(grid[0], row)
    parameters = (
        (node.args[1], node.args[2]) if native else (_argument(node, 2, "weight"), _argument(node, 3, "bias"))
    )
    for parameter in parameters:
        labelling.bind(parameter, 0, values[1])
    labelling.notes.append((values[1], f"group norm{where(node)} averages over it"))
    return values


def _embedding(labelling: Labelling, node: fx.Node) -> Dimensions:
    weight, indices = labelling.of(node.args[0]), labelling.of(node.args[1])
    labelling.merger.fix(weight[0], "it counts the entries of an embedding")
    return (*indices, weight[1])


def _pool(labelling: Labelling, node: fx.Node) -> Any:
    values, sizes = labelling.of(node.args[0]), None
    value = node.meta["val"]
    first = value[0] if isinstance(value, list | tuple) else value
    sizes = [int_size(size) for size in first.shape]
    kept = tuple(
        dimension if size_of(dimension) == size else (Factor(size),)
        for dimension, size in zip(values, sizes, strict=True)
    )
    return (kept, kept) if isinstance(value, list | tuple) else kept


def _reduce(labelling: Labelling, node: fx.Node) -> Dimensions:
    values = labelling.of(node.args[0])
    dims = _argument(node, 1, "dim")
    keep = bool(_argument(node, 2, "keepdim", False))
    listed = [dims] if isinstance(dims, int) else list(dims) if dims else list(range(len(values)))
    reduced = {position % len(values) for position in listed}
    for position in reduced:
        labelling.notes.append((values[position], f"{base_name(node)}{where(node)} goes over it"))
    return tuple(
        (Factor(1),) if position in reduced else dimension
        for position, dimension in enumerate(values)
        if position not in reduced or keep
    )


def _softmax(labelling: Labelling, node: fx.Node) -> Dimensions:
    values = labelling.of(node.args[0])
    labelling.notes.append((values[int(node.args[1])], f"softmax{where(node)} goes over it"))  # type: ignore[arg-type]
    return values


def _cat(labelling: Labelling, node: fx.Node) -> Dimensions:
    sources = [labelling.of(source) for source in node.args[0]]  # type: ignore[union-attr]
    dim = int(_argument(node, 1, "dim", 0)) % len(sources[0])
    result = []
    for position in range(len(sources[0])):
        if position != dim:
            result.append(labelling.unify(node, [(source[position],) for source in sources])[0])
            continue
        parts = [source[position] for source in sources]
        size = sum(size_of(part) for part in parts)
        if not any(is_labelled(part) for part in parts):
            result.append((Factor(size),))
            continue
        rows = []
        for part in parts:
            if not is_labelled(part):
                own = (Factor(size_of(part), labelling.merger.new(size_of(part))),)
                labelling.merger.fix(own, f"cat{where(node)} joins it with what has a fixed size")
                part = own  # noqa: PLW2901
            rows.append(flat(part))
        result.append((Factor(size, np.concatenate(rows)),))
    return tuple(result)


def _part(dimension: Dimension, start: int, stop: int) -> Dimension:
    if is_labelled(dimension):
        return (Factor(stop - start, flat(dimension)[start:stop]),)
    return (Factor(stop - start),)


def _split(labelling: Labelling, node: fx.Node) -> tuple[Dimensions, ...]:
    values = labelling.of(node.args[0])
    dim = int(_argument(node, 2, "dim", 0)) % len(values)
    found, start = [], 0
    for item in node.meta["val"]:
        stop = start + int_size(item.shape[dim])
        found.append((*values[:dim], _part(values[dim], start, stop), *values[dim + 1 :]))
        start = stop
    return tuple(found)


def _slice(labelling: Labelling, node: fx.Node) -> Dimensions:
    values = labelling.of(node.args[0])
    dim = int(_argument(node, 1, "dim", 0)) % len(values)
    size, start = size_of(values[dim]), int(_argument(node, 2, "start", 0) or 0)
    stop = _argument(node, 3, "end", size)
    if not isinstance(stop, int) or size % BATCH == 0:
        return values
    start, stop = start % size if start < 0 else start, min(size, stop % size if stop < 0 else stop)
    if int(_argument(node, 4, "step", 1)) != 1:
        raise ModelError("a slice with steps")
    return values if (start, stop) == (0, size) else (
        *values[:dim], _part(values[dim], start, stop), *values[dim + 1 :]
    )  # fmt: skip


def _select(labelling: Labelling, node: fx.Node) -> Dimensions:
    values = labelling.of(node.args[0])
    dim = int(node.args[1]) % len(values)  # type: ignore[arg-type]
    labelling.merger.fix(values[dim], f"select{where(node)} takes one of it")
    return (*values[:dim], *values[dim + 1 :])


def _unbind(labelling: Labelling, node: fx.Node) -> tuple[Dimensions, ...]:
    values = labelling.of(node.args[0])
    dim = int(_argument(node, 1, "dim", 0)) % len(values)
    labelling.merger.fix(values[dim], f"unbind{where(node)} takes it apart")
    return ((*values[:dim], *values[dim + 1 :]),) * len(node.meta["val"])


def _getitem(labelling: Labelling, node: fx.Node) -> Any:
    source: Any = node.args[0]
    value: Any = labelling.values[source.name]
    return value if base_name(source) in NORMS else value[node.args[1]]


def _view(labelling: Labelling, node: fx.Node) -> Dimensions:
    return regrouped(labelling.merger, labelling.of(node.args[0]), sizes_of(node))


def _permute(labelling: Labelling, node: fx.Node) -> Dimensions:
    values = labelling.of(node.args[0])
    return tuple(values[position] for position in node.args[1])  # type: ignore[index, union-attr]


def _transpose(labelling: Labelling, node: fx.Node) -> Dimensions:
    values = list(labelling.of(node.args[0]))
    a, b = (-2, -1) if base_name(node) == "t" else (int(node.args[1]), int(node.args[2]))  # type: ignore[arg-type]
    values[a], values[b] = values[b], values[a]
    return tuple(values)


def _expand(labelling: Labelling, node: fx.Node) -> Dimensions:
    values, sizes = labelling.of(node.args[0]), sizes_of(node)
    padded = [(Factor(1),)] * (len(sizes) - len(values)) + list(values)
    return tuple(
        dimension if size_of(dimension) == size else (Factor(size),)
        for dimension, size in zip(padded, sizes, strict=True)
    )


def _pixel_shuffle(labelling: Labelling, node: fx.Node) -> Dimensions:
    values = labelling.of(node.args[0])
    factor: Any = node.args[1]
    square = factor**2
    split = regrouped(labelling.merger, [values[1]], [size_of(values[1]) // square, square])
    return (values[0], split[0], *((Factor(size),) for size in sizes_of(node)[2:]))


def _attention(labelling: Labelling, node: fx.Node) -> Dimensions:
    query, key, value = (labelling.of(source) for source in node.args[:3])
    labelling.merger.unite(query[-1], key[-1], "attention multiplies it with what has a fixed size")
    batch = labelling.unify(node, [operand[:-2] for operand in (query, key, value)])
    for operand in (query, key):
        labelling.notes.append((operand[-1], f"attention{where(node)} sums over it"))
    return (*batch, query[-2], value[-1])


def _matmul(labelling: Labelling, node: fx.Node) -> Dimensions:
    operands = node.args[1:3] if base_name(node) in ("addmm", "baddbmm") else node.args[:2]
    a, b = (labelling.of(operand) for operand in operands)
    if len(a) < 2 or len(b) < 2:  # noqa: PLR2004
        raise ModelError("a product with a vector")
    labelling.merger.unite(a[-1], b[-2], "it is multiplied with what has a fixed size")
    labelling.notes.append((a[-1], f"{base_name(node)}{where(node)} sums over it"))
    batch = labelling.unify(node, [a[:-2], b[:-2]])
    result = (*batch, a[-2], b[-1])
    if base_name(node) in ("addmm", "baddbmm"):
        return labelling.unify(node, [result, labelling.of(node.args[0])])
    return result


def _prelu(labelling: Labelling, node: fx.Node) -> Dimensions:
    values = labelling.of(node.args[0])
    weight = labelling.of(node.args[1])
    if size_of(weight[0]) > 1:
        labelling.bind(node.args[1], 0, values[1])
    return values


NORMS = ("_native_batch_norm_legit_no_training", "native_layer_norm", "native_group_norm")

_SAME = (
    "relu gelu silu mish sigmoid tanh hardtanh relu6 leaky_relu elu selu celu softplus hardswish hardsigmoid "
    "log_sigmoid clamp clamp_min clamp_max exp log neg abs sqrt rsqrt square reciprocal erf sin cos sign "
    "round floor ceil clone contiguous detach alias dropout _to_copy to lift_fresh_copy"
)
_ELEMENTWISE = "add sub mul div pow maximum minimum where rsub lerp addcmul"
_CONVOLUTIONS = "conv1d conv2d conv3d convolution conv_transpose1d conv_transpose2d conv_transpose3d"
_POOLS = (
    "max_pool1d max_pool2d max_pool2d_with_indices max_pool3d avg_pool1d avg_pool2d avg_pool3d "
    "adaptive_avg_pool1d adaptive_avg_pool2d _adaptive_avg_pool2d adaptive_max_pool2d upsample_nearest1d "
    "upsample_nearest2d upsample_bilinear2d upsample_bicubic2d constant_pad_nd pad reflection_pad2d "
    "replication_pad2d"
)
_VIEWS = "view reshape _unsafe_view flatten unflatten unsqueeze squeeze"

_BY_NAMES: tuple[tuple[str, Rule], ...] = (
    (_SAME, _same),
    (_ELEMENTWISE, _elementwise),
    ("linear", _linear),
    (_CONVOLUTIONS, _convolution),
    ("_native_batch_norm_legit_no_training batch_norm instance_norm", _channel_norm),
    ("prelu", _prelu),
    ("layer_norm native_layer_norm", _layer_norm),
    ("group_norm native_group_norm", _group_norm),
    ("embedding", _embedding),
    (_POOLS, _pool),
    ("mean sum amax amin logsumexp", _reduce),
    ("softmax _softmax log_softmax _log_softmax", _softmax),
    ("cat", _cat),
    ("split split_with_sizes chunk tensor_split", _split),
    ("slice", _slice),
    ("select", _select),
    ("unbind", _unbind),
    ("getitem", _getitem),
    (_VIEWS, _view),
    ("permute", _permute),
    ("transpose t", _transpose),
    ("expand", _expand),
    ("pixel_shuffle", _pixel_shuffle),
    ("scaled_dot_product_attention", _attention),
    ("matmul bmm mm addmm baddbmm", _matmul),
)
RULES: dict[str, Rule] = {name: rule for names, rule in _BY_NAMES for name in names.split()}
