"""The definition of what a plan computes: one plan run on its own. Faster ways must equal it bit for bit."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx

from narrower.evaluate.recurrent import run_recurrent
from narrower.graph.network import TABLE_KINDS
from narrower.graph.nodes import base_name, is_recurrent, is_weight, rounded_operand
from narrower.graph.program import Program
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.plan import Plan
from narrower.transform.quantizers.quantize import quantize


class Definition:
    """A lowered program that is run from its beginning for each plan and batch."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._module = fx.GraphModule(torch.nn.Module(), program.graph)

    def outputs(self, plan: Plan, *inputs: Tensor) -> Tensor:
        """Run one batch with every operand rounded as the plan says."""
        return RoundingInterpreter(self._module, plan, self._program).outputs(*inputs)


def defined_outputs(program: Program, plan: Plan, *inputs: Tensor) -> Tensor:
    """Run a lowered program on one batch with every operand rounded as the plan says."""
    return Definition(program).outputs(plan, *inputs)


class RoundingInterpreter(fx.Interpreter):
    """Runs a program node by node, every operand and edge rounded as a plan says."""

    def __init__(self, module: fx.GraphModule, plan: Plan, program: Program) -> None:
        super().__init__(module)
        self._plan = plan
        self._program = program
        self._held = program.tensors

    def outputs(self, *inputs: Tensor) -> Tensor:
        """Run one batch."""
        with torch.inference_mode():
            outputs = self.run(*self._arguments(inputs))
        first: Tensor = outputs[0] if isinstance(outputs, tuple | list) else outputs
        return first

    def begin(self, *inputs: Tensor) -> None:
        """Make ready to run one batch, a node at a time: each value is written to ``env``."""
        self.args_iter = iter(self._arguments(inputs))
        self.env = {}

    def _arguments(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """What the placeholders stand for."""
        batch = list(inputs)
        return [
            self._held[node.name] if node.name in self._held else batch.pop(0)
            for node in self._program.graph.nodes
            if node.op == "placeholder"
        ]

    def run_node(self, n: fx.Node) -> Any:
        """Run a node, and round what it writes where that is an edge."""
        value = self._run(n)
        return self.write(n.meta["edge"], value) if "edge" in n.meta else value

    def write(self, edge: str, value: Tensor) -> Tensor:
        """What everything that reads an edge sees."""
        return quantize(value, self._plan.layer(edge).output)

    def read(self, source: fx.Node, value: Any, number_format: NumberFormat) -> Any:
        """What an operator sees of the value of a node."""
        del source
        return quantize(value, number_format)

    def _run(self, n: fx.Node) -> Any:
        """Round the operands of a product or of the addition of its bias, then run the node."""
        layer: str | None = n.meta.get("layer")
        biased: str | None = n.meta.get("bias_of")
        if layer is None and biased is None:
            return super().run_node(n)
        if layer is not None and (is_recurrent(n) or base_name(n) in TABLE_KINDS):
            return self._run_by_operand(n)
        arguments, keywords = self.fetch_args_kwargs_from_env(n)
        rounded = list(arguments)
        if biased is not None:
            rounded[1] = quantize(rounded[1], self._plan.layer(biased).bias)
        else:
            chosen = self._plan.layer(layer or "")
            for position, source in enumerate(n.args):
                if not isinstance(source, fx.Node):
                    continue
                own = chosen.weight if is_weight(n, source, self._held) else chosen.data
                rounded[position] = self.read(source, rounded[position], own)
        return self.call_function(n.target, tuple(rounded), keywords)

    def _run_by_operand(self, n: fx.Node) -> Any:
        """A layer whose operands stand in lists, or of which not all are rounded."""

        def read(source: fx.Node) -> Any:
            slot = rounded_operand(n, source, self._held)
            value = self.env[source]
            if slot is None:
                return value
            return self.read(source, value, getattr(self._plan.layer(slot[0]), slot[1]))

        arguments, keywords = fx.map_arg(n.args, read), fx.map_arg(n.kwargs, read)
        if is_recurrent(n):
            return run_recurrent(n.target, arguments, keywords, self._plan.layer(n.meta["layer"]).data)
        return self.call_function(n.target, arguments, keywords)
