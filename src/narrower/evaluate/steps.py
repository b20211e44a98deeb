"""A lowered program as steps that can be run one at a time, and what each step's value depends on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, fx

from narrower.graph.nodes import is_weight
from narrower.graph.program import Program
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.plan import OUTPUT
from narrower.quantizers.quantize import quantize

aten = torch.ops.aten

Slot = tuple[str, str]  # a layer and one of its operands ("data", "weight", "bias"), or an edge and "output"


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


@dataclass(frozen=True, slots=True)
class Reference:
    """The value of an earlier step, in the place of an argument."""

    step: int


@dataclass(frozen=True, slots=True)
class Step:
    """One value of the program.

    ``slot`` is the choice that the step itself makes (how it rounds an operand), as an index into
    ``Steps.slots``; ``inputs`` are the steps that it reads. ``overwrite`` does the same as ``function`` in
    the memory of an argument; it is there only where nothing else reads that.
    """

    name: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    inputs: tuple[int, ...]
    slot: int | None = None
    overwrite: Callable[..., Any] | None = None


@dataclass(frozen=True)
class Steps:
    """A program compiled for evaluation.

    ``constants`` holds the values of steps which no sample and no plan changes. ``affected[s]`` lists, in
    order, the steps whose value depends on slot ``s``. ``kept`` are the steps whose values are worth holding
    for other plans: what several steps read, and what a plan rounds, before and after; not what is read
    only on the way to another of them, with no choice between. ``owned`` are roundings of what is new and is
    read by nothing else.
    """

    steps: tuple[Step, ...]
    slots: tuple[Slot, ...]
    constants: dict[int, Tensor]
    batch_inputs: tuple[int, ...]
    output: int
    affected: tuple[tuple[int, ...], ...]
    kept: frozenset[int]
    owned: frozenset[int] = frozenset()

    def run(self, index: int, values: Mapping[int, Any], formats: Sequence[NumberFormat]) -> Any:
        """The value of one step; it may overwrite the values of its inputs that nothing else reads."""
        step = self.steps[index]
        if step.slot is not None:
            return quantize(values[step.inputs[0]], formats[step.slot])
        function = step.overwrite or step.function
        return function(*_filled(step.arguments, values), **_filled(step.keywords, values))

    def on(self, device: str) -> "Steps":
        """The same with all constants on a device, which operators that make tensors are told as well."""
        steps = tuple(
            replace(step, arguments=_moved(step.arguments, device), keywords=_moved(step.keywords, device))
            for step in self.steps
        )
        constants = {index: value.to(device) for index, value in self.constants.items()}
        return replace(self, steps=steps, constants=constants)

    def called(self, index: int, values: Mapping[int, Any]) -> Any:
        """The value of a step that rounds nothing; nothing is overwritten."""
        step = self.steps[index]
        return step.function(*_filled(step.arguments, values), **_filled(step.keywords, values))


def compile_steps(program: Program, *, with_edges: bool = False) -> Steps:
    """Compile a lowered program: each operand that a plan can round becomes a step of its own.

    So does each edge, on request: plans that round none are scored with fewer steps.
    """
    builder = _Builder(program, with_edges=with_edges)
    for node in program.graph.nodes:
        builder.add(node)
    return builder.finish()


def rounded_operand(node: fx.Node, source: fx.Node, tensors: Mapping[str, Tensor]) -> Slot | None:
    """Which operand of a layer ``node`` reads from ``source``; None where it reads what is not rounded."""
    if "bias_of" in node.meta:
        return (node.meta["bias_of"], "bias") if source is node.args[1] else None
    if "layer" not in node.meta:
        return None
    return node.meta["layer"], "weight" if is_weight(node, source, tensors) else "data"


def _filled(template: Any, values: Mapping[int, Any]) -> Any:
    if isinstance(template, Reference):
        return values[template.step]
    if isinstance(template, tuple):
        return tuple(_filled(item, values) for item in template)
    if isinstance(template, list):
        return [_filled(item, values) for item in template]
    if isinstance(template, dict):
        return {key: _filled(item, values) for key, item in template.items()}
    return template


def _moved(template: Any, device: str) -> Any:
    if isinstance(template, torch.device):
        return torch.device(device)
    if isinstance(template, tuple):
        return tuple(_moved(item, device) for item in template)
    if isinstance(template, list):
        return [_moved(item, device) for item in template]
    if isinstance(template, dict):
        return {key: _moved(item, device) for key, item in template.items()}
    return template


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
        return self._append(Step(node.name, node.target, tuple(arguments), dict(keywords), inputs))

    def finish(self) -> Steps:
        depends: list[frozenset[int]] = []
        is_constant: list[bool] = []
        for index, step in enumerate(self._steps):
            own = frozenset() if step.slot is None else frozenset({step.slot})
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
