"""Learned networks of any shape as logic: their graph, computed once on da4ml's numbers of one sample.

Convolutions, linear layers, additions, ReLU, pooling and operators that move values; each datum is rounded
where a layer reads it, half up, as in the deployed network.
"""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx

from narrower.errors import ExportError, MissingExtraError
from narrower.export.check import Check, compare
from narrower.export.check_learned_program import MOVING, check_program, only_input
from narrower.export.logic import run_logic
from narrower.export.logic_arithmetic import Array, LogicArithmetic, added_or_scaled, on_each
from narrower.export.verilator import run_verilator
from narrower.export.verilog import MODULE, write_verilog
from narrower.graph.nodes import base_name, rounded_operand
from narrower.graph.program import Program
from narrower.plan.formats.fixed_each import FixedEach
from narrower.plan.plan import Plan
from narrower.transform.quantizers.quantize import quantize, quantize_to_steps


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
        self._program, self._plan = program, plan
        self._input = only_input(program)
        self._format, self._shape = _input_format(program, plan, self._input)
        low, high = (np.broadcast_to(end, self._shape).ravel() for end in self._format.integer_ranges)
        self._used = np.broadcast_to(self._format.widths > 0, self._shape).ravel()
        if not self._used.any():
            raise ExportError("no input of this network reaches an output: there is no logic to build")
        ports = FixedVariableArray.from_lhs(
            low[self._used].astype(float), high[self._used].astype(float), np.ones(int(self._used.sum()))
        )
        self._numbers = LogicArithmetic(FixedVariableArray, ports.hwconf)
        outputs = self._outputs(ports)
        self.fraction = int(max(each.kif[2] for each in outputs))
        scaled = FixedVariableArray(outputs, hwconf=ports.hwconf) * 2.0**self.fraction
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
        steps = np.array([self._numbers.constant(0.0)] * self._used.size, dtype=object)
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
                else self._numbers.rounded(value, number_format)
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
            return on_each(own, lambda value: value.relu())
        if name in {"add", "mul"}:
            return added_or_scaled(name, own, arguments[1])
        if name == "max_pool2d":
            return self._numbers.pooled(own, *arguments[1:])
        if name == "linear":
            return self._numbers.linear(own, *arguments[1:])
        return self._numbers.convolved(own, *arguments[1:])


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
