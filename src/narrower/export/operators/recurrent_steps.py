"""Recurrent layers whose states are rounded, as ONNX operators: one product after another for every step."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, fx

from narrower.export.operators.products import held_matrix
from narrower.export.operators.translation import Translation, Value, whole_size
from narrower.graph.arguments import argument
from narrower.graph.nodes import base_name
from narrower.plan.plan import LayerPlan

Product = Callable[[str], str]
ACTIVATIONS = {"rnn_tanh": "Tanh", "rnn_relu": "Relu"}
WITH_PROJECTION = (3, 5)  # parameters of a cell, without biases and with them


def unrolled(t: Translation, node: fx.Node, plan: LayerPlan) -> Value:
    """The sequence of outputs, and the last states."""
    given: Any = argument(node, "hx")
    states = [t.name(state) for state in (given if isinstance(given, list | tuple) else [given])]
    parameters = [t.tensor(one) for one in argument(node, "params")]
    directions = 2 if argument(node, "bidirectional") else 1
    layers = int(argument(node, "num_layers"))
    each = len(parameters) // (layers * directions)
    is_first = bool(argument(node, "batch_first"))
    steps = whole_size(node.args[0], 1 if is_first else 0)
    x = t.name(node.args[0])
    x = t.emit("Transpose", x, perm=[1, 0, 2]) if is_first else x
    last: list[list[str]] = [[] for _ in states]
    for layer in range(layers):
        sides = []
        for direction in range(directions):
            number = layer * directions + direction
            cell = _Cell(t, node, plan, parameters[number * each : (number + 1) * each])
            start = [_at(t, state, number) for state in states]
            outputs, ends = cell.run(x, start, range(steps)[:: -1 if direction else 1])
            sides.append(outputs)
            for kept, end in zip(last, ends, strict=True):
                kept.append(t.emit("Unsqueeze", end, t.integers(0)))
        x = t.emit("Concat", *sides, axis=2) if directions > 1 else sides[0]
    x = t.emit("Transpose", x, perm=[1, 0, 2]) if is_first else x
    return (x, *(t.emit("Concat", *kept, axis=0) for kept in last))


def _at(t: Translation, value: str, index: int) -> str:
    """One part of the first dimension."""
    return t.emit("Squeeze", t.emit("Slice", value, t.integers(index), t.integers(index + 1)), t.integers(0))


class _Cell:
    """One direction of one layer."""

    def __init__(self, t: Translation, node: fx.Node, plan: LayerPlan, parameters: Sequence[Tensor]) -> None:
        self._t, self._kind, self._plan = t, base_name(node), plan
        self._layer = node.meta["layer"]
        has_biases = bool(argument(node, "has_biases"))
        biases = parameters[2:4] if has_biases else (None, None)
        self._of_input, self._of_state = (
            self._product(weight, bias) for weight, bias in zip(parameters[:2], biases, strict=True)
        )
        is_projected = len(parameters) in WITH_PROJECTION
        self._projection = self._product(parameters[-1], None) if is_projected else None
        self._units = len(parameters[1]) // {"lstm": 4, "gru": 3}.get(self._kind, 1)

    def run(self, x: str, start: Sequence[str], order: range) -> tuple[str, list[str]]:
        """The outputs of [steps, samples, inputs], and the last states."""
        t, states = self._t, list(start)
        entering = self._of_input(x)
        found: dict[int, str] = {}
        for step in order:
            states = self._next(_at(t, entering, step), self._of_state(states[0]), states)
            if self._projection is not None:
                states[0] = self._projection(states[0])
            found[step] = t.emit("Unsqueeze", states[0], t.integers(0))
        return t.emit("Concat", *(found[step] for step in sorted(found)), axis=0), states

    def _product(self, weight: Tensor, bias: Tensor | None) -> Product:
        t, plan, name = self._t, self._plan, self._layer
        matrix, form = held_matrix(t, name, weight, plan, transposed=True)

        def product(value: str) -> str:
            result = t.emit("MatMul", t.rounding.data(value, plan.data, form), matrix)
            return result if bias is None else t.rounding.add_bias(result, bias, plan, f"{name}.bias")

        return product

    def _next(self, entering: str, hidden: str, states: Sequence[str]) -> list[str]:
        """The states after a step: see ``next_states``, which computes the same."""
        emit = self._t.emit
        if self._kind == "lstm":
            keep, forget, cell, output = self._parts(emit("Add", entering, hidden), 4)
            old = emit("Mul", emit("Sigmoid", forget), states[1])
            memory = emit("Add", old, emit("Mul", emit("Sigmoid", keep), emit("Tanh", cell)))
            return [emit("Mul", emit("Sigmoid", output), emit("Tanh", memory)), memory]
        if self._kind == "gru":
            (r, z, n), (from_r, from_z, from_n) = self._parts(entering, 3), self._parts(hidden, 3)
            update = emit("Sigmoid", emit("Add", z, from_z))
            reset = emit("Sigmoid", emit("Add", r, from_r))
            new = emit("Tanh", emit("Add", n, emit("Mul", reset, from_n)))
            return [emit("Add", new, emit("Mul", update, emit("Sub", states[0], new)))]
        return [emit(ACTIVATIONS[self._kind], emit("Add", entering, hidden))]

    def _parts(self, value: str, count: int) -> tuple[str, ...]:
        sizes = self._t.integers(*[self._units] * count)
        return self._t.emit_several(count, "Split", value, sizes, axis=-1)
