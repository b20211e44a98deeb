"""The definition of what a plan computes: one plan run on its own. Faster ways must equal it bit for bit."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, fx

from narrower.graph.describe import parameter_behind
from narrower.graph.program import Program
from narrower.plan.plan import Plan
from narrower.quantizers.quantize import quantize


class Definition:
    """A lowered program that is run from its beginning for each plan and batch."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._module = fx.GraphModule(torch.nn.Module(), program.graph)

    def outputs(self, plan: Plan, *inputs: Tensor) -> Tensor:
        """Run one batch with every operand rounded as the plan says."""
        interpreter = _QuantizedInterpreter(self._module, plan, self._program.tensors)
        batch = list(inputs)
        arguments = [
            self._program.tensors[node.name] if node.name in self._program.tensors else batch.pop(0)
            for node in self._program.graph.nodes
            if node.op == "placeholder"
        ]
        with torch.inference_mode():
            outputs = interpreter.run(*arguments)
        first: Tensor = outputs[0] if isinstance(outputs, tuple | list) else outputs
        return first


def defined_outputs(program: Program, plan: Plan, *inputs: Tensor) -> Tensor:
    """Run a lowered program on one batch with every operand rounded as the plan says."""
    return Definition(program).outputs(plan, *inputs)


class _QuantizedInterpreter(fx.Interpreter):
    def __init__(self, module: fx.GraphModule, plan: Plan, held: Mapping[str, Tensor]) -> None:
        super().__init__(module)
        self._plan = plan
        self._held = held

    def run_node(self, n: fx.Node) -> Any:
        """Round the operands of a product or of the addition of its bias, then run the node."""
        layer: str | None = n.meta.get("layer")
        biased: str | None = n.meta.get("bias_of")
        if layer is None and biased is None:
            return super().run_node(n)
        arguments, keywords = self.fetch_args_kwargs_from_env(n)
        rounded = list(arguments)
        if biased is not None:
            rounded[1] = quantize(rounded[1], self._plan.layer(biased).bias)
        else:
            chosen = self._plan.layer(layer or "")
            for position, source in enumerate(n.args):
                if not isinstance(source, fx.Node):
                    continue
                behind = parameter_behind(source)
                is_weight = behind is not None and behind.name in self._held
                rounded[position] = quantize(rounded[position], chosen.weight if is_weight else chosen.data)
        return self.call_function(n.target, tuple(rounded), keywords)
