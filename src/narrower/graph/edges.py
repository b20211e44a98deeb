"""Which tensors of a network hardware stores, what they are called, and which of them must agree."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from narrower.graph.network import PRODUCT_KINDS, RECURRENT_KINDS, Network, Operator
from narrower.graph.signs import KEEPING, positive_values

# Operators that end a product or an addition where nothing else reads that: hardware stores what they give.
ENDING = frozenset({"batch_norm", "relu", "relu6", "hardtanh", "clamp", "clip", "clamp_min"})
# Of the operators that keep what is not negative, those whose results are new numbers.
_COMPUTING = frozenset({"cat", "concat", "stack", "mean", "sum", "maximum", "minimum"})
_SMOOTHING = ("upsample_linear", "upsample_bilinear", "upsample_trilinear")
MOVES = frozenset(kind for kind in KEEPING if kind not in _COMPUTING and not kind.startswith(_SMOOTHING))
PADDING = frozenset({"constant_pad_nd", "pad"})
SOFTMAX = ".softmax"  # what attention multiplies values with, after the name of its edge
_MOVING_STARTS = ("max_pool", "adaptive_max_pool")
ATTENTION = "scaled_dot_product_attention"
JOINING = frozenset({"cat", "concat", "stack"})
ADDING = frozenset({"add", "sub"})


@dataclass(frozen=True, slots=True)
class Edge:
    """A tensor that is written once and read by all that follows.

    ``name`` is the layer whose product, addition or other operator computes it (``input`` for that of the
    network; a number follows where a module is called again). ``writer`` is the last operator of those that
    end it, or the network's input. ``has_no_sign`` where it is never below zero. ``is_output`` where the
    network returns it.
    """

    name: str
    kind: str
    writer: str
    has_no_sign: bool
    is_output: bool = False


@dataclass(frozen=True)
class Edges:
    """The edges of a network in the order in which they are written.

    ``behind`` says for every value which edge's numbers it holds. ``groups`` are the edges that must have
    one format where hardware adds and joins without scaling: the inputs of an addition, and inputs and output
    of a concatenation; each edge is in one group, most of them alone.
    """

    edges: tuple[Edge, ...]
    behind: Mapping[str, str]
    groups: tuple[tuple[str, ...], ...]

    def read_by(self, operator: Operator) -> tuple[str, ...]:
        """The edges that an operator reads, one for each of its inputs that has one."""
        return tuple(self.behind[value] for value in operator.inputs if value in self.behind)

    def inside(self, operator: Operator) -> tuple[str, ...]:
        """The edges that an operator reads and writes inside."""
        name = self.behind.get(operator.name, "") + SOFTMAX
        return (name,) if operator.kind == ATTENTION and self.named(name) is not None else ()

    def named(self, name: str) -> Edge | None:
        """The edge of a name; None where there is none."""
        return next((edge for edge in self.edges if edge.name == name), None)


def edges_of(network: Network) -> Edges:
    """Find the edges of a network.

    Operators that only move or choose values keep the edge that they read. A batch norm, a ReLU and what
    else cuts off values belong to what they read where nothing else reads it.
    """
    found = _Found(network)
    for operator in network.operators:
        found.add(operator)
    returned = {found.behind[value] for value in network.outputs if value in found.behind}
    edges = tuple(replace(edge, is_output=edge.name in returned) for edge in found.edges.values())
    return Edges(edges, found.behind, _groups(network, found.edges, found.behind))


class _Found:
    """The edges seen so far, and what is behind each value."""

    def __init__(self, network: Network) -> None:
        self.edges: dict[str, Edge] = {}
        self.behind: dict[str, str] = {}
        self._network = network
        self._names = _Names(network)
        self._positive = positive_values(network)
        self._readers = Counter(value for operator in network.operators for value in set(operator.inputs))
        for value, _ in network.inputs:
            if value not in network.whole_valued:
                self._write(self._names.of_input(value), "input", value)

    def add(self, operator: Operator) -> None:
        source = operator.inputs[0] if len(operator.inputs) == 1 else None
        if _is_move(operator):
            if source in self.behind:
                self.behind[operator.name] = self.behind[source]
        elif not self._has_edge(operator):
            pass
        elif source is not None and self._ends(operator, source):
            before = self.edges[self.behind[source]]
            self._write(before.name, before.kind, operator.name)
        else:
            name = self._names.of(operator)
            if operator.kind == ATTENTION:
                inside = name + SOFTMAX
                self.edges[inside] = Edge(inside, "softmax", operator.name + SOFTMAX, has_no_sign=True)
            self._write(name, operator.kind, operator.name)

    def _write(self, name: str, kind: str, writer: str) -> None:
        self.edges[name] = Edge(name, kind, writer, writer in self._positive)
        self.behind[writer] = name

    def _has_edge(self, operator: Operator) -> bool:
        """Whether an operator gives one tensor of real numbers that depends on an input."""
        is_constant = not operator.inputs and operator.kind not in PRODUCT_KINDS
        is_real = operator.name not in self._network.whole_valued and operator.kind not in RECURRENT_KINDS
        return is_real and not is_constant

    def _ends(self, operator: Operator, source: str) -> bool:
        """Whether an operator only changes what another writes, by channel or by cutting it off."""
        before = self.edges.get(self.behind.get(source, ""))
        return (
            before is not None
            and before.writer == source
            and before.kind != "input"
            and operator.kind.removesuffix("_") in ENDING
            and self._readers[source] == 1
            and source not in self._network.outputs
        )


def _is_move(operator: Operator) -> bool:
    if operator.kind in PADDING:
        return dict(operator.attributes).get("value") in (None, 0)
    return operator.kind in MOVES or operator.kind.startswith(_MOVING_STARTS)


def _groups(network: Network, found: Iterable[str], behind: Mapping[str, str]) -> tuple[tuple[str, ...], ...]:
    group = {name: name for name in found}

    def root(name: str) -> str:
        while group[name] != name:
            name = group[name]
        return name

    for operator in network.operators:
        kind = operator.kind.removesuffix("_")
        joined = [behind[value] for value in operator.inputs if value in behind]
        if kind in JOINING and operator.name in behind:
            joined.append(behind[operator.name])
        elif kind not in ADDING:
            continue
        for name in joined[1:]:
            group[root(name)] = root(joined[0])
    members: dict[str, list[str]] = {}
    for name in group:
        members.setdefault(root(name), []).append(name)
    return tuple(tuple(own) for own in members.values())


class _Names:
    """Gives each edge the name by which plans address it."""

    def __init__(self, network: Network) -> None:
        self._inputs = len(network.inputs)
        self._layers = {*network.layers, *(path for path, _ in network.module_types)}
        self._taken: set[str] = set()

    def of_input(self, value: str) -> str:
        wanted = "input" if self._inputs == 1 else f"input.{value}"
        return self._take(wanted, is_free=wanted not in self._layers)

    def of(self, operator: Operator) -> str:
        return self._take(operator.layer, is_free=True)

    def _take(self, wanted: str, *, is_free: bool) -> str:
        name, number = wanted, 0
        while name in self._taken or (name in self._layers and not (is_free and name == wanted)):
            number += 1
            name = f"{wanted}_{number}"
        self._taken.add(name)
        return name
