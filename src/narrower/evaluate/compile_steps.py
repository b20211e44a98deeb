"""Compile a lowered program into steps: which depend on which choice, which are held, which overwrite."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, fx

from narrower.evaluate.steps import Reference, Slot, Step, Steps
from narrower.graph.nodes import is_recurrent, rounded_operand
from narrower.graph.program import Program
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.plan import OUTPUT
from narrower.transform.quantizers.quantize import quantize

aten = torch.ops.aten

OVERWRITING: dict[Any, Callable[..., Any]] = {
    aten.add.Tensor: Tensor.add_,
    aten.sub.Tensor: Tensor.sub_,
    aten.mul.Tensor: Tensor.mul_,
    aten.relu.default: Tensor.relu_,
}
# Those whose arguments may change places.
COMMUTATIVE: dict[Any, Callable[[Tensor, Tensor], Tensor]] = {
    aten.add.Tensor: lambda first, second: second.add_(first),
    aten.mul.Tensor: lambda first, second: second.mul_(first),
}
# Operators whose result is never a view of an argument.
ALLOCATING = {
    *OVERWRITING,
    aten.linear.default,
    aten.conv1d.default,
    aten.conv2d.default,
    aten.matmul.default,
}


def compile_steps(program: Program, *, with_edges: bool = False) -> Steps:
    """Compile a lowered program: each operand that a plan can round becomes a step of its own.

    So does each edge, on request: plans that round none are scored with fewer steps.
    """
    builder = _Builder(program, with_edges=with_edges)
    for node in program.graph.nodes:
        builder.add(node)
    return builder.finish()


class _Builder:
    def __init__(self, program: Program, *, with_edges: bool) -> None:
        self._program = program
        self._with_edges = with_edges
        self._steps: list[Step] = []
        self._constants: dict[int, Tensor] = {}
        self._index: dict[str, int] = {}
        self._slots: dict[Slot, int] = {}
        self._inputs: list[int] = []
        self._output = -1
        self._shapes: dict[int, str] = {}  # and types, of the steps that are nodes with one tensor

    def add(self, node: fx.Node) -> None:
        if node.op == "placeholder":
            step = self._append(Step(node.name, _no_function, (), {}, ()))
            self._index[node.name] = step
            if node.name in self._program.tensors:
                self._constants[step] = self._program.tensors[node.name]
            else:
                self._inputs.append(step)
                self._round_edge(node)
        elif node.op == "call_function":
            step = self._append_call(node)
            self._index[node.name] = step
            value = node.meta.get("val")
            if isinstance(value, Tensor):
                self._shapes[step] = f"{value.shape} {value.dtype}"
            self._round_edge(node)
        elif node.op == "output":
            outputs = node.args[0]
            first = outputs[0] if isinstance(outputs, tuple | list) else outputs
            assert isinstance(first, fx.Node)
            self._output = self._index[first.name]
        else:
            raise AssertionError(node.op)

    def _round_edge(self, node: fx.Node) -> None:
        """Let everything that reads a value read it rounded, where it is an edge."""
        if self._with_edges and "edge" in node.meta:
            written = self._index[node.name]
            slot = self._slot((node.meta["edge"], OUTPUT))
            step = Step(f"{node.name}.{OUTPUT}", quantize, (Reference(written),), {}, (written,), slot)
            self._index[node.name] = self._append(step)

    def _slot(self, slot: Slot) -> int:
        return self._slots.setdefault(slot, len(self._slots))

    def _append(self, step: Step) -> int:
        self._steps.append(step)
        return len(self._steps) - 1

    def _append_call(self, node: fx.Node) -> int:
        replaced: dict[fx.Node, Any] = {}
        for source in node.all_input_nodes:
            operand = rounded_operand(node, source, self._program.tensors)
            step = self._index[source.name]
            if operand is not None:
                slot = self._slot(operand)
                name = f"{node.name}.{operand[1]}"
                step = self._append(Step(name, quantize, (Reference(step),), {}, (step,), slot))
            replaced[source] = Reference(step)
        swap: Callable[[fx.Node], Any] = replaced.__getitem__
        arguments: Any = fx.map_arg(node.args, swap)
        keywords: Any = fx.map_arg(node.kwargs, swap)
        inputs = tuple(reference.step for reference in replaced.values())
        assert callable(node.target)
        inside = (
            self._slot((node.meta["layer"], "data")) if is_recurrent(node) and "layer" in node.meta else None
        )
        return self._append(
            Step(node.name, node.target, tuple(arguments), dict(keywords), inputs, inside=inside)
        )

    def finish(self) -> Steps:
        depends: list[frozenset[int]] = []
        is_constant: list[bool] = []
        for index, step in enumerate(self._steps):
            own = frozenset(slot for slot in (step.slot, step.inside) if slot is not None)
            depends.append(own.union(*(depends[i] for i in step.inputs)))
            is_constant.append(
                index in self._constants
                or (bool(step.inputs) and not depends[index] and all(is_constant[i] for i in step.inputs))
            )
        slots = tuple(self._slots)
        affected = tuple(
            tuple(i for i, slot_set in enumerate(depends) if slot in slot_set) for slot in range(len(slots))
        )
        readers = [0] * len(self._steps)
        rounded: set[int] = set()
        for step in self._steps:
            for source in step.inputs:
                readers[source] += 1
            if step.slot is not None:
                rounded.add(step.inputs[0])
        varying = [
            i
            for i, step in enumerate(self._steps)
            if step.inputs and not all(is_constant[j] for j in step.inputs)
        ]
        kept = {i for i in varying if i in rounded or self._steps[i].slot is not None}
        shared = {i for i in varying if readers[i] > 1}
        kept |= shared - self._on_the_way(kept | shared, depends)
        steps = tuple(
            replace(step, overwrite=self._overwrite(i, readers, is_constant))
            for i, step in enumerate(self._steps)
        )
        owned = frozenset(i for i in varying if self._steps[i].slot is not None and self._is_new(i, readers))
        compiled = Steps(
            steps, slots, self._constants, tuple(self._inputs), self._output, affected, frozenset(kept), owned
        )
        formats = [FLOAT32] * len(slots)
        with torch.inference_mode():
            for index, constant in enumerate(is_constant):
                if constant and index not in self._constants:
                    self._constants[index] = compiled.run(index, self._constants, formats)
        return compiled

    def _on_the_way(self, worth: set[int], depends: list[frozenset[int]]) -> set[int]:
        """Steps that are read only by others with the same choices, and in the end by some that are held."""
        read_by: list[list[int]] = [[] for _ in self._steps]
        for index, step in enumerate(self._steps):
            for source in step.inputs:
                read_by[source].append(index)
        passed: set[int] = set()
        for index in reversed(range(len(self._steps))):
            if read_by[index] and all(
                depends[reader] == depends[index] and (reader in passed or reader in worth)
                for reader in read_by[index]
            ):
                passed.add(index)
        return passed

    def _is_new(self, index: int, readers: list[int]) -> bool:
        """Whether what a rounding reads is no view, and read by nothing else."""
        (source,) = self._steps[index].inputs
        return self._steps[source].function in ALLOCATING and readers[source] == 1

    def _overwrite(
        self, index: int, readers: list[int], is_constant: list[bool]
    ) -> Callable[..., Any] | None:
        """The in-place form of a step with an argument that is new, read once, and as large as the result."""
        step = self._steps[index]
        if step.function not in OVERWRITING or step.keywords:
            return None
        forms = (OVERWRITING[step.function], COMMUTATIVE.get(step.function))
        for argument, form in zip(step.arguments, forms, strict=False):
            if form is None or not isinstance(argument, Reference):
                continue
            source = argument.step
            is_new = self._steps[source].function in ALLOCATING and readers[source] == 1
            fits = index in self._shapes and self._shapes[index] == self._shapes.get(source)
            if is_new and fits and not is_constant[source]:
                return form
        return None


def _no_function() -> None:
    raise AssertionError("an input has no function")
