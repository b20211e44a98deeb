"""What each operator does to the channels of its operands."""

from collections.abc import Callable, Iterable, Sequence
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

Kept = frozenset[tuple[str, int]]
BATCH = 1_000_003  # stands for the batch size: a prime that no other size holds


class Labelling:
    """The dimensions of every tensor of a graph, found by walking through it."""

    def __init__(
        self, graph: fx.Graph, parameters: dict[str, str], packed: set[str], kept: Kept = frozenset()
    ) -> None:
        """``parameters`` are names by placeholder; ``packed`` are those of three equal parts (q, k and v).

        ``kept`` are sizes in views that stay whatever becomes of the width: (node, position).
        """
        self.merger = Merger()
        self.parameters: dict[str, Dimensions] = {}
        self.values: dict[str, Dimensions | tuple[Dimensions, ...]] = {}
        self.notes: list[tuple[Dimension, str]] = []  # what happens to channels beside being computed
        self.consumed: set[tuple[str, int]] = set()  # dimensions of parameters that products sum over
        self.cuts: set[tuple[str, int]] = set()  # views that cut a row of channels, and after which position
        self._own: set[tuple[str, int]] = set()  # dimensions of parameters that begin a row of channels
        self._produced: set[tuple[str, int]] = set()  # those of them that any operator passes on
        self._names, self._packed, self._kept = parameters, packed, kept
        self._data: set[str] = set()  # what is computed from the model's inputs
        self._channel_dimensions: dict[str, int] = {}  # of kernels: what comes after is height and width
        self._multiplied: set[str] = set()  # weights whose channels may also be one
        for node in graph.nodes:
            self._visit(node)

    def _visit(self, node: fx.Node) -> None:
        if node.op == "placeholder":
            if node.name not in self._names:
                self.values[node.name] = self._plain(node)
                self._data.add(node.name)
        elif node.op == "call_function":
            if self.depends_on_data(node.all_input_nodes):
                self._data.add(node.name)
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
        if size == 1 and name not in self._multiplied:  # it is there to be broadcast
            return None
        if position >= self._channel_dimensions.get(name, position + 1):
            return None
        self._own.add((name, position))
        if position == 0 and name in self._packed:
            return np.tile(self.merger.new(size // 3), 3)
        return self.merger.new(size)

    def consume(self, node: Any, position: int) -> None:
        """A product sums over a dimension of a parameter, of a view of one, or of what some make."""
        if (place := self._place(node, position)) is not None:
            self.consumed.add(place)
        elif node.name not in self._data and is_labelled(self.of(node)[position]):
            roots = self.merger.roots(flat(self.of(node)[position]))
            for name in self._parameters_behind(node):
                own = self.parameters[name][position : position + 1]
                if own and is_labelled(own[0]) and self.merger.roots(flat(own[0])) == roots:
                    self.consumed.add((name, position))

    def depends_on_data(self, nodes: Iterable[fx.Node]) -> bool:
        """Whether any of these is computed from the model's inputs."""
        return any(node.name in self._data for node in nodes)

    def _parameters_behind(self, node: fx.Node) -> set[str]:
        if node.name in self._names:
            return {self._names[node.name]} & self.parameters.keys()
        return set().union(*(self._parameters_behind(source) for source in node.all_input_nodes))

    def produce(self, node: Any, position: int) -> None:
        """A dimension of a parameter, or of a view of one, is one of the result's."""
        if (place := self._place(node, position)) is not None:
            self._produced.add(place)

    def _place(self, node: fx.Node, position: int) -> tuple[str, int] | None:
        """The dimension of the parameter behind a dimension of a node; None where there is none."""
        while node.name not in self._names:
            base = base_name(node)
            source = node.args[0] if node.args else None
            if not isinstance(source, fx.Node) or base not in _PASSING:
                return None
            if base in ("t", "transpose"):
                pair = (0, 1) if base == "t" else (int(node.args[1]), int(node.args[2]))  # type: ignore[arg-type]
                a, b = (side % len(self.of(node)) for side in pair)
                position = {a: b, b: a}.get(position, position)
            elif base == "permute":
                position = int(node.args[1][position]) % len(self.of(node))  # type: ignore[index, arg-type]
            node = source
        return self._names[node.name], position

    def is_multiplied(self, node: Any) -> None:
        """A weight whose dimensions are outputs and inputs, even where there is one of them."""
        if node.name in self._names:
            self._multiplied.add(self._names[node.name])

    def is_kernel(self, node: Any) -> None:
        """Only the first two dimensions of a parameter are channels."""
        if node.name in self._names:
            self._channel_dimensions[self._names[node.name]] = 2
        for dimension in self.of(node)[2:]:
            self.merger.fix(dimension, "it is the height or width of a kernel")

    @property
    def sources(self) -> list[tuple[str, int]]:
        """The dimensions of parameters in which channels begin: parameter and position."""
        return sorted(self._own - (self.consumed - self._produced))

    def regrouped(self, node: fx.Node, dimensions: Sequence[Dimension], sizes: Sequence[int]) -> Dimensions:
        """The dimensions of a view of these sizes."""
        kept = {position for name, position in self._kept if name == node.name}
        result, cuts = regrouped(self.merger, dimensions, sizes, kept)
        self.cuts.update((node.name, position) for position in cuts)
        return result

    def bind_all(self, node: fx.Node, dimensions: Dimensions) -> None:
        """The dimensions of a parameter are the given ones."""
        name = self._names.get(node.name)
        if name is None or name in self.parameters:
            for own, dimension in zip(self.of(node), dimensions, strict=True):
                self.merger.unite(own, dimension, f"{name or node.name} has a fixed size")
            return
        self.parameters[name] = tuple(
            (Factor(size_of(dimension), flat(dimension) if is_labelled(dimension) else None),)
            for dimension in dimensions
        )

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
            present = [operand[position] for operand in operands if len(operand) >= -position]
            single = [own for own in present if size_of(own) == 1]
            for own in single if len(single) < len(present) else ():
                self.merger.fix(own, f"{base_name(node)}{where(node)} broadcasts it")
            for own in present:
                if size_of(own) == 1 and (len(single) < len(present) or not is_labelled(own)):
                    continue
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
    if labelling.depends_on_data(node.all_input_nodes):
        for source in node.all_input_nodes:
            for position in range(len(labelling.of(source))):
                labelling.produce(source, position)
    return labelling.unify(node, [labelling.of(source) for source in node.all_input_nodes])


def _linear(labelling: Labelling, node: fx.Node) -> Dimensions:
    x, weight, bias = node.args[0], node.args[1], _argument(node, 2, "bias")
    values = labelling.of(x)
    labelling.is_multiplied(weight)
    labelling.bind(weight, 1, values[-1])
    labelling.consume(weight, 1)
    labelling.produce(weight, 0)
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
    if count == 1:
        labelling.is_multiplied(weight)
    labelling.is_kernel(weight)
    values, sizes = labelling.of(x), sizes_of(node)
    own, other = (1, 0) if transposed else (0, 1)
    held = weight.meta["val"].shape
    labelling.produce(weight, own)
    if count == 1:
        labelling.bind(weight, other, values[1])
        labelling.consume(weight, other)
        outputs = labelling.of(weight)[own]
    elif transposed and held[0] == count and held[1] == 1:  # depthwise
        labelling.bind(weight, 0, values[1])
        outputs = values[1]
    elif not transposed and held[1] == 1:  # depthwise
        per_channel = int(held[0]) // count
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
        grid = _tied(merger, channels, count)
        if other == 1:
            labelling.bind(weight, 1, (Factor(grid.shape[1], grid[0]),))
        else:
            labelling.bind(weight, 0, (Factor(grid.size, grid.ravel()),))
    else:
        labelling.bind(weight, other, (Factor(int(weight.meta["val"].shape[other])),))
    outputs = labelling.of(weight)[own]
    if own == 0:
        _tied(merger, outputs, count)
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
    name = "RMS norm" if base_name(node) == "rms_norm" else "layer norm"
    assert isinstance(shape, list | tuple)
    for parameter in (_argument(node, 2, "weight"), _argument(node, 3, "bias")):
        if isinstance(parameter, fx.Node):
            labelling.bind_all(parameter, values[-len(shape) :])
    for position in range(len(shape)):
        labelling.notes.append((values[position - len(shape)], f"{name}{where(node)} averages over it"))
    return values


def _group_norm(labelling: Labelling, node: fx.Node) -> Dimensions:
    values = labelling.of(node.args[0])
    native = base_name(node) == "native_group_norm"
    count = int(node.args[6] if native else node.args[1])  # type: ignore[arg-type]
    if is_labelled(values[1]):
        _tied(labelling.merger, values[1], count)
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
    labelling.produce(node.args[0], 1)
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


def _reduce(labelling: Labelling, node: fx.Node) -> Any:
    values = labelling.of(node.args[0])
    given = _given(node)
    if "other" in given:  # the larger of two tensors
        return _elementwise(labelling, node)
    dims, keep = given.get("dim"), bool(given.get("keepdim", False))
    listed = [dims] if isinstance(dims, int) else list(dims) if dims else list(range(len(values)))
    reduced = {position % len(values) for position in listed}
    for position in reduced:
        labelling.notes.append((values[position], f"{base_name(node)}{where(node)} goes over it"))
    result = tuple(
        (Factor(1),) if position in reduced else dimension
        for position, dimension in enumerate(values)
        if position not in reduced or keep
    )
    return (result, result) if isinstance(node.meta["val"], list | tuple) else result


def _given(node: fx.Node) -> dict[str, Any]:
    """The arguments of an operator by their names in ATen's schema."""
    schema: Any = getattr(node.target, "_schema", None)
    names = [argument.name for argument in schema.arguments] if schema is not None else []
    return dict(zip(names, node.args, strict=False)) | dict(node.kwargs)


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


def _stack(labelling: Labelling, node: fx.Node) -> Dimensions:
    sources: Any = node.args[0]
    values = labelling.unify(node, [labelling.of(source) for source in sources])
    dim = int(_argument(node, 1, "dim", 0)) % (len(values) + 1)
    return (*values[:dim], (Factor(len(sources)),), *values[dim:])


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
    return labelling.regrouped(node, labelling.of(node.args[0]), sizes_of(node))


def _repeat(labelling: Labelling, node: fx.Node) -> Dimensions:
    values, sizes = labelling.of(node.args[0]), sizes_of(node)
    padded = [(Factor(1),)] * (len(sizes) - len(values)) + list(values)
    return tuple(
        (Factor(size, np.tile(flat(own), size // size_of(own))),) if is_labelled(own) else (Factor(size),)
        for own, size in zip(padded, sizes, strict=True)
    )


def _glu(labelling: Labelling, node: fx.Node) -> Dimensions:
    values = labelling.of(node.args[0])
    dim = int(_argument(node, 1, "dim", -1)) % len(values)
    half = size_of(values[dim]) // 2
    content, gate = _part(values[dim], 0, half), _part(values[dim], half, 2 * half)
    labelling.merger.unite(content, gate, "both are parts of one tensor")
    return (*values[:dim], content, *values[dim + 1 :])


def _channel_shuffle(labelling: Labelling, node: fx.Node) -> Dimensions:
    """The number of groups stays: the n-th channels of all groups move together."""
    values = labelling.of(node.args[0])
    if not is_labelled(values[1]):
        return values
    grid = _tied(labelling.merger, values[1], int(_argument(node, 1, "groups")))
    return (values[0], (Factor(grid.size, grid.T.ravel()),), *values[2:])


def _tied(merger: Merger, dimension: Dimension, rows: int) -> np.ndarray:
    """The labels in so many rows, the n-th of all rows being the same from now on."""
    grid = flat(dimension).reshape(rows, -1)
    for row in grid[1:]:
        merger.same(grid[0], row)
    return grid


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
    split, _ = regrouped(labelling.merger, [values[1]], [size_of(values[1]) // square, square])
    return (values[0], split[0], *((Factor(size),) for size in sizes_of(node)[2:]))


def _pixel_unshuffle(labelling: Labelling, node: fx.Node) -> Dimensions:
    values, sizes = labelling.of(node.args[0]), sizes_of(node)
    channels = (*values[1], Factor(sizes[1] // size_of(values[1])))
    return (values[0], channels, *((Factor(size),) for size in sizes[2:]))


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
    for operand, own, other in ((operands[0], -2, -1), (operands[1], -1, -2)):
        rank = len(labelling.of(operand))
        labelling.produce(operand, rank + own)
        labelling.consume(operand, rank + other)
    labelling.notes.append((a[-1], f"{base_name(node)}{where(node)} sums over it"))
    batch = labelling.unify(node, [a[:-2], b[:-2]])
    result = (*batch, a[-2], b[-1])
    if base_name(node) in ("addmm", "baddbmm"):
        return labelling.unify(node, [result, labelling.of(node.args[0])])
    return result


def _weight_norm(labelling: Labelling, node: fx.Node) -> Dimensions:
    values, dim = labelling.of(node.args[0]), int(_argument(node, 2, "dim", 0))
    labelling.bind(node.args[1], dim, values[dim])
    for position, dimension in enumerate(values):
        if position != dim:
            labelling.notes.append((dimension, f"weight norm{where(node)} sums over it"))
    return values


def _prelu(labelling: Labelling, node: fx.Node) -> Dimensions:
    values = labelling.of(node.args[0])
    weight = labelling.of(node.args[1])
    if size_of(weight[0]) > 1:
        labelling.bind(node.args[1], 0, values[1])
    return values


# What only passes on, or takes a part of, a parameter.
_PASSING = (
    *("split", "split_with_sizes", "chunk", "slice", "getitem", "clone", "alias", "detach", "_to_copy"),
    *("t", "transpose", "permute"),
)
NORMS = ("_native_batch_norm_legit_no_training", "native_layer_norm", "native_group_norm")

_SAME = (
    "relu gelu silu mish sigmoid tanh hardtanh relu6 leaky_relu elu selu celu softplus hardswish hardsigmoid "
    "log_sigmoid softshrink hardshrink threshold rrelu clamp clamp_min clamp_max exp expm1 log log1p neg abs "
    "sqrt rsqrt square reciprocal erf sin cos tan atan sign round floor ceil clone contiguous detach alias "
    "dropout _to_copy to lift_fresh_copy zeros_like ones_like full_like"
)
_ELEMENTWISE = (
    "add sub mul div pow maximum minimum where rsub lerp addcmul addcdiv masked_fill remainder atan2 "
    "eq ne lt le gt ge logical_and logical_or logical_not"
)
_CONVOLUTIONS = "conv1d conv2d conv3d convolution conv_transpose1d conv_transpose2d conv_transpose3d"
_POOLS = (
    "max_pool1d max_pool2d max_pool2d_with_indices max_pool3d max_pool3d_with_indices avg_pool1d avg_pool2d "
    "avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d _adaptive_avg_pool2d adaptive_avg_pool3d "
    "_adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d upsample_nearest1d "
    "upsample_nearest2d upsample_nearest3d upsample_linear1d upsample_bilinear2d upsample_trilinear3d "
    "upsample_bicubic2d constant_pad_nd pad reflection_pad1d reflection_pad2d reflection_pad3d "
    "replication_pad1d replication_pad2d replication_pad3d"
)
_VIEWS = "view reshape _unsafe_view flatten unflatten unsqueeze squeeze"

_BY_NAMES: tuple[tuple[str, Rule], ...] = (
    (_SAME, _same),
    (_ELEMENTWISE, _elementwise),
    ("linear", _linear),
    (_CONVOLUTIONS, _convolution),
    ("_native_batch_norm_legit_no_training batch_norm instance_norm", _channel_norm),
    ("prelu", _prelu),
    ("_weight_norm", _weight_norm),
    ("layer_norm native_layer_norm rms_norm", _layer_norm),
    ("group_norm native_group_norm", _group_norm),
    ("embedding", _embedding),
    (_POOLS, _pool),
    ("mean sum amax amin max min logsumexp var std linalg_vector_norm", _reduce),
    ("softmax _softmax log_softmax _log_softmax", _softmax),
    ("cat", _cat),
    ("stack", _stack),
    ("split split_with_sizes chunk tensor_split", _split),
    ("slice", _slice),
    ("select", _select),
    ("unbind", _unbind),
    ("getitem", _getitem),
    (_VIEWS, _view),
    ("permute", _permute),
    ("transpose t", _transpose),
    ("expand", _expand),
    ("repeat", _repeat),
    ("glu", _glu),
    ("channel_shuffle", _channel_shuffle),
    ("pixel_shuffle", _pixel_shuffle),
    ("pixel_unshuffle", _pixel_unshuffle),
    ("scaled_dot_product_attention", _attention),
    ("matmul bmm mm addmm baddbmm", _matmul),
)
RULES: dict[str, Rule] = {name: rule for names, rule in _BY_NAMES for name in names.split()}
