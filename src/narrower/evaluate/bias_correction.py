"""Biases that make up for the mean error of rounding, so that each channel keeps the mean that it had."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from narrower.evaluate.definition import RoundingInterpreter
from narrower.graph.lower import lower
from narrower.graph.nodes import base_name, parameter_behind
from narrower.graph.own_copy import own_copy
from narrower.graph.program import Program
from narrower.graph.trace import trace
from narrower.plan.plan import Plan

TRACED = 2  # samples


def with_corrected_biases(
    model: nn.Module, plan: Plan, inputs: Tensor | Sequence[Tensor], *, reference: nn.Module | None = None
) -> nn.Module:
    """Return a copy of ``model`` with biases moved so that rounding leaves the means of channels.

    ``inputs`` are training samples. The means are those of ``reference`` without rounding, which is the
    model unless its weights were changed already. Layer after layer in the order of the network, each with
    the layers before it corrected already (Nagel et al. 2019, section 4.2). Products without a bias, or with
    one that another product shares, stay as they are.

    Raises:
        ModelError: the model cannot be traced.
    """
    arguments = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    program = lower(trace(model, [argument[:TRACED] for argument in arguments]))
    unchanged = program
    if reference is not None:
        unchanged = lower(trace(reference, [argument[:TRACED] for argument in arguments]))
    means = _Means(unchanged, Plan(), {})
    means.outputs(*arguments)
    corrected = _Means(program, plan.formats, means.found)
    corrected.outputs(*arguments)
    changed = own_copy(model)
    with torch.no_grad():
        for name, parameter in changed.named_parameters():
            if name in corrected.shifts:
                parameter.add_(corrected.shifts[name])
    return changed


class _Means(RoundingInterpreter):
    """Looks at the mean of each channel after its bias; with the means that are wanted, restores these."""

    def __init__(self, program: Program, plan: Plan, wanted: Mapping[str, Tensor]) -> None:
        super().__init__(fx.GraphModule(nn.Module(), program.graph), plan, program)
        self._names, self._wanted = program.parameter_names, wanted
        added = [self._bias_of(node) for node in program.graph.nodes if "bias_of" in node.meta]
        self._own = {name for name in added if name is not None and added.count(name) == 1}
        self.found: dict[str, Tensor] = {}
        self.shifts: dict[str, Tensor] = {}

    def run_node(self, n: fx.Node) -> Any:
        """Run a node; after a bias look at the means."""
        value = self._run(n)
        name = self._bias_of(n) if "bias_of" in n.meta else None
        if name in self._own:
            value = self._looked_at(n, name, value)
        return self.write(n.meta["edge"], value) if "edge" in n.meta else value

    def _looked_at(self, n: fx.Node, name: str, value: Tensor) -> Tensor:
        product = n.args[0]
        assert isinstance(product, fx.Node)
        axis = value.dim() - 1 if base_name(product) == "linear" else 1
        others = [dimension for dimension in range(value.dim()) if dimension != axis]
        self.found[name] = value.double().mean(others).float()
        if name not in self._wanted:
            return value
        self.shifts[name] = self._wanted[name] - self.found[name]
        return value + self.shifts[name].reshape([-1 if d == axis else 1 for d in range(value.dim())])

    def _bias_of(self, node: fx.Node) -> str | None:
        """The parameter that a node adds."""
        behind = parameter_behind(node.args[1])
        return None if behind is None else self._names.get(behind.name)
