"""Score plans of a model that has no graph: it is called for each plan, and its modules round."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from narrower.data.parts import Part
from narrower.evaluate.sample_engine import SampleEngine, Sink, is_finite
from narrower.evaluate.value_cache import ValueCache
from narrower.graph.called_modules import call_unchanged
from narrower.graph.network import TABLE_KINDS, Network
from narrower.graph.own_copy import own_copy
from narrower.graph.program import Program, Untraced
from narrower.own_code.failures import described
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.plan import Plan
from narrower.transform.quantizers.quantize import quantize

OPERANDS = ("weight", "bias")


class ModuleEngine(SampleEngine):
    """Each plan runs the whole model; only rounded weights are held for other plans."""

    def __init__(
        self,
        network: Network,
        untraced: Untraced,
        part: Part,
        batch_size: int,
        cache_bytes: int,
        device: str = "cpu",
    ) -> None:
        super().__init__(part, batch_size, device)
        self._layers = tuple(network.rounded_layers)
        self._module = untraced.module if device == "cpu" else own_copy(untraced.module).to(device)
        self._weights = ValueCache(cache_bytes)

    @property
    def layers(self) -> Sequence[str]:
        """The layers that a plan can round, in the order in which they are called."""
        return self._layers

    def outputs(self, plan: Plan, inputs: Tensor | Sequence[Tensor]) -> Tensor:
        """The outputs of one plan for any samples: the model's argument, or its arguments."""
        arguments = self._moved((inputs,) if isinstance(inputs, Tensor) else inputs)
        batches = zip(*(torch.split(argument, self._batch_size) for argument in arguments), strict=True)
        return torch.cat([self._run(plan, batch) for batch in batches])

    def release(self) -> None:
        """Let go what is held for other plans."""
        self._weights.clear()

    def _visit(self, plans: Sequence[Plan], sink: Sink) -> list[str | None]:
        return [self._visit_one(position, plan, sink) for position, plan in enumerate(plans)]

    def _visit_one(self, position: int, plan: Plan, sink: Sink) -> str | None:
        try:
            for first in range(0, len(self._part), self._batch_size):
                stop = first + self._batch_size
                outputs = self._run(plan, tuple(argument[first:stop] for argument in self._arguments))
                if not is_finite(outputs):
                    return "the outputs hold NaN or infinity"
                sink(position, first, outputs, self._part.targets[first:stop])
        except torch.OutOfMemoryError:
            raise  # of the device: no fault of the plan
        except Exception as error:
            return described(error)
        return None

    def _run(self, plan: Plan, arguments: tuple[Tensor, ...]) -> Tensor:
        modules = dict(self._module.named_modules())
        replaced: dict[str, Tensor] = {}
        hooks = []
        try:
            for layer, chosen in plan.layers:
                if chosen.data != FLOAT32:
                    rounding = _Rounding(chosen.data)
                    hooks.append(modules[layer].register_forward_pre_hook(rounding))
                for operand in OPERANDS:
                    held = getattr(modules[layer], operand, None)
                    if held is not None and (number_format := getattr(chosen, operand)) != FLOAT32:
                        replaced[f"{layer}.{operand}"] = self._rounded(
                            f"{layer}.{operand}", held, number_format
                        )
            with torch.inference_mode():
                outputs: Tensor = call_unchanged(self._module, arguments, replaced).cpu()
        finally:
            for hook in hooks:
                hook.remove()
        return outputs

    def _rounded(self, name: str, values: Tensor, number_format: Any) -> Tensor:
        held = self._weights.get((name, number_format))
        if held is None:
            with torch.inference_mode():
                held = quantize(values.detach(), number_format)
            self._weights.put((name, number_format), held)
        rounded: Tensor = held
        return rounded


class _Rounding:
    """A forward pre-hook that rounds a module's input."""

    def __init__(self, number_format: Any) -> None:
        self._format = number_format

    def __call__(self, _module: nn.Module, inputs: Any) -> Any:
        return (quantize(inputs[0], self._format), *inputs[1:])


def unrounded_operands(program: Program, inputs: Sequence[Tensor]) -> dict[tuple[str, str], list[Tensor]]:
    """What every operand that a plan can round holds when nothing is rounded; the program has no graph."""
    assert program.untraced is not None
    modules = dict(program.untraced.module.named_modules())
    found: dict[tuple[str, str], list[Tensor]] = {}
    hooks = []
    for layer, operators in program.network.rounded_layers.items():
        for operand in OPERANDS:
            if (held := getattr(modules[layer], operand, None)) is not None:
                found[layer, operand] = [held.detach()]
        if operators[0].kind in TABLE_KINDS:
            continue
        data = found[layer, "data"] = []
        hooks.append(modules[layer].register_forward_pre_hook(lambda _, x, data=data: data.append(x[0])))
    try:
        with torch.inference_mode():
            call_unchanged(program.untraced.module, inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return found
