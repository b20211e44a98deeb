"""Learned networks of any shape as logic: their graph, computed once on da4ml's numbers of one sample.

Convolutions, linear layers, additions, ReLU, pooling and operators that move values; each datum is rounded
where a layer reads it, half up, as in the deployed network.
"""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx
from torch.nn import functional as F

from narrower.cost.macs import macs
from narrower.errors import ExportError, MissingExtraError
from narrower.evaluate.steps import rounded_operand
from narrower.export.logic import run_logic
from narrower.export.manifest import Check, compare
from narrower.export.verilator import run_verilator
from narrower.export.verilog import MODULE, write_verilog
from narrower.graph.nodes import base_name
from narrower.graph.program import Program
from narrower.plan.formats.fixed_each import FixedEach
from narrower.plan.plan import Plan
from narrower.quantizers.quantize import quantize, quantize_to_steps

MOVING = frozenset({"reshape", "view", "_unsafe_view", "flatten", "slice", "squeeze", "unsqueeze", "permute"})
CHANGING = frozenset({"conv2d", "linear", "relu", "add", "mul", "max_pool2d"})
MOST_MACS = 50_000  # of one sample; each is an adder or none
Array = NDArray[Any]


class ProgramLogic:
    """The logic of a lowered program under a plan whose data have a width for each entry.

    Raises:
        ExportError: with the operators that there is no logic for, or the layers whose formats are others.
        MissingExtraError: da4ml is not installed.
    """

    def __init__(self, program: Program, plan: Plan) -> None:
        check_program(program, plan)
        try:
            from da4ml.trace import FixedVariableArray, comb_trace
        except ImportError as error:
            raise MissingExtraError("da4ml", "rtl", "logic") from error
        self._array, self._program, self._plan = FixedVariableArray, program, plan
        self._input = _only_input(program)
        self._format, self._shape = _input_format(program, plan, self._input)
        low, high = (np.broadcast_to(end, self._shape).ravel() for end in self._format.integer_ranges)
        self._used = np.broadcast_to(self._format.widths > 0, self._shape).ravel()
        if not self._used.any():
            raise ExportError("no input of this network reaches an output: there is no logic to build")
        ports = FixedVariableArray.from_lhs(
            low[self._used].astype(float), high[self._used].astype(float), np.ones(int(self._used.sum()))
        )
        self._hardware = ports.hwconf
        outputs = self._outputs(ports)
        self.fraction = int(max(each.kif[2] for each in outputs))
        scaled = FixedVariableArray(outputs, hwconf=self._hardware) * 2.0**self.fraction
        self.logic = comb_trace(ports, scaled, keep_dead_inputs=True)

    @property
    def luts(self) -> float:
        """Look-up tables by da4ml's cost of the adders, shifts and selections."""
        return float(self.logic.cost)

    def fed(self, inputs: Tensor) -> NDArray[np.int64]:
        """The whole numbers that the logic is fed, of the inputs that have bits."""
        steps = torch.empty(inputs.shape, dtype=torch.float64)
        quantize_to_steps(inputs.float(), self._format, steps)
        found: NDArray[np.int64] = steps.flatten(1).numpy()[:, self._used].astype(np.int64)
        return found

    def deliver(self, inputs: Tensor, outputs: NDArray[np.float32], directory: Path) -> tuple[Check, ...]:
        """Write the module ``network`` and compare it with our own outputs of some samples."""
        write_verilog(self.logic, directory)
        fed = self.fed(inputs)
        runs = {"da4ml interpreter": run_logic(self.logic, fed)}
        if shutil.which("verilator"):
            runs = {"Verilator": run_verilator(self.logic, MODULE, directory, fed), **runs}
        return tuple(
            compare(
                np.ldexp(found.astype(np.float64), -self.fraction).astype(np.float32).reshape(outputs.shape),
                outputs,
                runtime,
                f"whole outputs in steps of 2**-{self.fraction}",
            )
            for runtime, found in runs.items()
        )

    def _outputs(self, ports: Any) -> Array:
        steps = np.array([self._constant(0.0)] * self._used.size, dtype=object)
        steps[self._used] = ports._vars
        fractions = np.broadcast_to(self._format.fracs.astype(float), self._shape).ravel()
        first = np.array([s * 2.0**-f for s, f in zip(steps, fractions, strict=True)], dtype=object)
        values: dict[fx.Node, Array | Tensor] = {self._input: first.reshape(1, *self._shape)}
        for node in self._program.graph.nodes:
            if node.op == "placeholder" and node.name in self._program.tensors:
                values[node] = self._program.tensors[node.name].detach().float()
            elif node.op == "call_function" and base_name(node) != "sym_size":
                values[node] = self._value(node, values)
        (result,) = (node for node in self._program.graph.nodes if node.op == "output")
        last: Any = result.args[0]
        found = values[last[0] if isinstance(last, tuple | list) else last]
        assert isinstance(found, np.ndarray)
        return found.ravel()

    def _value(self, node: fx.Node, values: dict[fx.Node, Array | Tensor]) -> Array | Tensor:
        def operand(argument: Any) -> Any:
            if not isinstance(argument, fx.Node):
                return (
                    [operand(each) for each in argument] if isinstance(argument, list | tuple) else argument
                )
            if base_name(argument) == "sym_size":
                return 1
            value, slot = values[argument], rounded_operand(node, argument, self._program.tensors)
            if slot is None or argument is self._input:
                return value
            number_format = getattr(self._plan.layer(slot[0]), slot[1])
            return (
                quantize(value, number_format)
                if isinstance(value, Tensor)
                else self._rounded(value, number_format)
            )

        arguments, name = [operand(each) for each in node.args], base_name(node)
        if all(isinstance(each, Tensor) for each in arguments[:1]):
            found: Tensor = node.target(*arguments, **node.kwargs)  # type: ignore[operator]
            return found
        own = arguments[0]
        if name in MOVING:
            numbers = torch.arange(own.size).reshape(own.shape)
            moved: Array = own.ravel()[node.target(numbers, *arguments[1:], **node.kwargs).numpy()]  # type: ignore[operator]
            return moved
        if name == "relu":
            return _each(own, lambda value: value.relu())
        if name in {"add", "mul"}:
            return _pairs(name, own, arguments[1])
        if name == "max_pool2d":
            return self._pooled(own, *arguments[1:])
        return self._linear(own, *arguments[1:]) if name == "linear" else self._convolved(own, *arguments[1:])

    def _constant(self, value: float) -> Any:
        from da4ml.trace import FixedVariable

        return FixedVariable.from_const(value, hwconf=self._hardware)

    def _rounded(self, values: Array, number_format: FixedEach) -> Array:
        low, high = (np.broadcast_to(end, values.shape) for end in number_format.integer_ranges)
        fractions = np.broadcast_to(number_format.fracs.astype(np.int64), values.shape)
        rows = zip(values.ravel(), low.ravel(), high.ravel(), fractions.ravel(), strict=True)
        found = [self._rounded_one(value, int(a), int(b), int(f)) for value, a, b, f in rows]
        return _objects(found).reshape(values.shape)

    def _rounded_one(self, value: Any, low: int, high: int, fraction: int) -> Any:
        if value.low == value.high:  # da4ml does not round a constant here
            steps = np.floor(float(value.low) * 2.0**fraction + 0.5)
            return self._constant(float(np.clip(steps, low, high)) * 2.0**-fraction)
        if low == high == 0:
            return self._constant(0.0)
        steps = value * 2.0**fraction
        if low == 0:
            steps = steps.relu(None, 0, "RND")
        elif steps.kif[2] > 0:
            _, whole, _ = steps.kif
            steps = steps.quantize(1, whole + 1, 0, "WRAP", "RND")
        steps = steps.max_of(low) if steps.low < low else steps
        steps = steps.min_of(high) if steps.high > high else steps
        return steps * 2.0**-fraction

    def _product(self, read: Array, weight: NDArray[np.float64]) -> Array:
        """Sums [N, O] of values [N, K] and weights [K, O]."""
        used = np.flatnonzero(weight.any(1))
        if not len(used):
            return _objects([self._constant(0.0)] * (len(read) * weight.shape[1])).reshape(len(read), -1)
        rows = self._array(read[:, used], hwconf=self._hardware) @ weight[used]
        found: Array = rows._vars
        return found

    def _linear(self, read: Array, weight: Tensor, bias: Tensor | None = None) -> Array:
        flat = read.reshape(-1, read.shape[-1])
        sums = self._product(flat, weight.double().numpy().T).reshape(*read.shape[:-1], -1)
        return sums if bias is None else _pairs("add", sums, bias)

    def _convolved(
        self,
        read: Array,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Sequence[int] = (1, 1),
        padding: Sequence[int] = (0, 0),
        dilation: Sequence[int] = (1, 1),
        groups: int = 1,
    ) -> Array:
        """Windows of every place, with zeros around the image."""
        numbers = torch.arange(1, read.size + 1, dtype=torch.float64).reshape(read.shape)
        kernel = (int(weight.shape[2]), int(weight.shape[3]))
        windows = F.unfold(
            numbers, kernel, dilation=tuple(dilation), padding=tuple(padding), stride=tuple(stride)
        )
        places = windows[0].long().numpy().T  # [places, channels x kernel]
        values = np.concatenate([_objects([self._constant(0.0)]), read.ravel()])
        read_by, of = places.shape[1] // groups, weight.shape[0] // groups
        matrix = weight.flatten(1).double().numpy()
        sums = np.concatenate(
            [
                self._product(
                    values[places[:, g * read_by : (g + 1) * read_by]], matrix[g * of : (g + 1) * of].T
                )
                for g in range(groups)
            ],
            axis=1,
        )
        height, width = (
            (size + 2 * pad - gap * (side - 1) - 1) // step + 1
            for size, pad, gap, side, step in zip(
                read.shape[2:], padding, dilation, kernel, stride, strict=True
            )
        )
        shaped = sums.T.reshape(1, -1, height, width)
        return shaped if bias is None else _pairs("add", shaped, bias[:, None, None])

    def _pooled(self, read: Array, kernel: Sequence[int], stride: Sequence[int] = ()) -> Array:
        numbers = torch.arange(read.size, dtype=torch.float64).reshape(read.shape).movedim(1, 0)
        sides = tuple(kernel) * (2 // len(kernel))
        steps = tuple(stride or kernel) * (2 // len(stride or kernel))
        windows = F.unfold(numbers, sides, stride=steps).long().numpy()  # [channels, kernel, places]
        height, width = ((s - k) // t + 1 for s, k, t in zip(read.shape[2:], sides, steps, strict=True))
        flat, found = read.ravel(), []
        for window in windows.transpose(0, 2, 1).reshape(-1, windows.shape[1]):
            largest = flat[window[0]]
            for other in window[1:]:
                largest = largest.max_of(flat[other])
            found.append(largest)
        return _objects(found).reshape(1, -1, height, width)


def check_program(program: Program, plan: Plan) -> None:
    """Check that logic can be built, before it is.

    Raises:
        ExportError: with the operators that there is no logic for, or the layers whose formats are others.
    """
    if program.untraced is not None:
        raise ExportError(f"{program.untraced.reason}; without a graph there is no logic to build")
    varies = {_only_input(program)}
    strange: list[str] = []
    for node in program.graph.nodes:
        if node.op == "call_function" and not varies.isdisjoint(node.all_input_nodes):
            name = base_name(node)
            if name != "sym_size":
                varies.add(node)
                strange += [] if name in MOVING | CHANGING and not _is_refused(node, name) else [node.name]
    if strange:
        raise ExportError(f"no logic for the operators {', '.join(strange)} of {program.network.name}")
    others = [
        layer
        for layer in program.network.multiplying_layers
        if not isinstance(chosen := plan.layer(layer).data, FixedEach) or chosen.overflow == "wrap"
    ]
    if others:
        raise ExportError(f"logic of this network takes learned widths of data; {', '.join(others)}: others")
    total = sum(
        macs(program.network, operator)
        for operators in program.network.multiplying_layers.values()
        for operator in operators
    )
    if total > MOST_MACS:
        raise ExportError(
            f"{program.network.name} multiplies {total:,} times for a sample, and logic has adders for each; "
            f"it is written up to {MOST_MACS:,}"
        )


def _is_refused(node: fx.Node, name: str) -> bool:
    if name == "mul":
        return not isinstance(node.args[1], float | int)
    if name == "max_pool2d":
        return len(node.args) > 3  # noqa: PLR2004 - padding, dilation, rounding up
    return name == "conv2d" and any(isinstance(each, str) for each in node.args[3:])


def _only_input(program: Program) -> fx.Node:
    found = [n for n in program.graph.nodes if n.op == "placeholder" and n.name not in program.tensors]
    if len(found) != 1:
        raise ExportError(f"{program.network.name} has {len(found)} inputs; logic is built for one")
    return found[0]  # type: ignore[no-any-return]


def _input_format(program: Program, plan: Plan, node: fx.Node) -> tuple[FixedEach, tuple[int, ...]]:
    """The format in which the only layer that reads the inputs does so, and the shape of one sample."""
    readers = [user for user in node.users if base_name(user) != "sym_size"]
    slots = {rounded_operand(user, node, program.tensors) for user in readers}
    slot = slots.pop() if len(slots) == 1 else None
    if slot is None:
        names = ", ".join(user.name for user in readers)
        raise ExportError(
            f"the inputs are read by {names}; logic is built where one layer reads and rounds them"
        )
    found = plan.layer(slot[0]).data
    assert isinstance(found, FixedEach)
    return found, tuple(int(size) for size in node.meta["val"].shape[1:])


def _each(values: Array, function: Callable[[Any], Any]) -> Array:
    return _objects([function(value) for value in values.ravel()]).reshape(values.shape)


def _pairs(name: str, values: Array, other: Any) -> Array:
    beside = other.double().numpy() if isinstance(other, Tensor) else np.asarray(other)
    mine, theirs = np.broadcast_arrays(values, beside)
    rows = zip(mine.ravel(), theirs.ravel(), strict=True)
    found = [a + b if name == "add" else a * float(b) for a, b in rows]
    return _objects(found).reshape(mine.shape)


def _objects(values: Sequence[Any]) -> Array:
    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found
