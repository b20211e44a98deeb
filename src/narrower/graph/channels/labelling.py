"""The dimensions of every tensor of a graph, found by walking through it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor, fx

from narrower.errors import ModelError
from narrower.graph.channels.dimensions import (
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
from narrower.graph.nodes import base_name, shape_of, source_line

Kept = frozenset[tuple[str, int]]
# What only passes on, or takes a part of, a parameter.
_PASSING = (
    *("split", "split_with_sizes", "chunk", "slice", "getitem", "clone", "alias", "detach", "_to_copy"),
    *("t", "transpose", "permute"),
)
BATCH = 1_000_003  # stands for the batch size: a prime that no other size holds


class Labelling:
    """The dimensions of every tensor of a graph, found by walking through it."""

    def __init__(
        self,
        graph: fx.Graph,
        rules: Mapping[str, "Rule"],
        parameters: dict[str, str],
        packed: set[str],
        kept: Kept = frozenset(),
    ) -> None:
        """``rules`` are by operator, ``parameters`` are names by placeholder.

        ``packed`` are parameters of three equal parts (q, k and v). ``kept`` are sizes in views that stay
        whatever becomes of the width: (node, position).
        """
        self.merger = Merger()
        self.parameters: dict[str, Dimensions] = {}
        self.values: dict[str, Dimensions | tuple[Dimensions, ...]] = {}
        self.notes: list[tuple[Dimension, str]] = []  # what happens to channels beside being computed
        self.consumed: set[tuple[str, int]] = set()  # dimensions of parameters that products sum over
        self.cuts: set[tuple[str, int]] = set()  # views that cut a row of channels, and after which position
        self.repeats: dict[str, int] = {}  # how often a unit comes in the rows of a parameter: gates
        self._own: set[tuple[str, int]] = set()  # dimensions of parameters that begin a row of channels
        self._produced: set[tuple[str, int]] = set()  # those of them that any operator passes on
        self._names, self._packed, self._kept = parameters, packed, kept
        self._data: set[str] = set()  # what is computed from the model's inputs
        self._channel_dimensions: dict[str, int] = {}  # of kernels: what comes after is height and width
        self._multiplied: set[str] = set()  # weights whose channels may also be one
        for node in graph.nodes:
            self._visit(node, rules)

    def _visit(self, node: fx.Node, rules: Mapping[str, "Rule"]) -> None:
        if node.op == "placeholder":
            if node.name not in self._names:
                self.values[node.name] = self._plain(node)
                self._data.add(node.name)
        elif node.op == "call_function":
            if self.depends_on_data(node.all_input_nodes):
                self._data.add(node.name)
            rule = rules.get(base_name(node))
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

    def mark_multiplied(self, node: Any) -> None:
        """A weight whose dimensions are outputs and inputs, even where there is one of them."""
        if node.name in self._names:
            self._multiplied.add(self._names[node.name])

    def repeat(self, node: Any, times: int) -> None:
        """The rows of a weight are so many times the same units."""
        if node.name in self._names:
            self.repeats[self._names[node.name]] = times

    def mark_kernel(self, node: Any) -> None:
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
        if all(factor.follows for factor in dimension):
            return
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


def argument(node: fx.Node, position: int, name: str, default: Any = None) -> Any:
    """An argument of an operator, given by its place or its name."""
    return node.args[position] if len(node.args) > position else node.kwargs.get(name, default)


def given(node: fx.Node) -> dict[str, Any]:
    """The arguments of an operator by their names in ATen's schema."""
    schema: Any = getattr(node.target, "_schema", None)
    names = [own.name for own in schema.arguments] if schema is not None else []
    return dict(zip(names, node.args, strict=False)) | dict(node.kwargs)
