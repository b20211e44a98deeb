"""A lowered program as steps that can be run one at a time, and what each step's value depends on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from narrower.evaluate.recurrent import run_recurrent
from narrower.plan.formats.number_format import NumberFormat
from narrower.transform.quantizers.quantize import quantize

Slot = tuple[str, str]  # a layer and one of its operands ("data", "weight", "bias"), or an edge and "output"


@dataclass(frozen=True, slots=True)
class Reference:
    """The value of an earlier step, in the place of an argument."""

    step: int


@dataclass(frozen=True, slots=True)
class Step:
    """One value of the program.

    ``slot`` is the choice that the step itself makes (how it rounds an operand), as an index into
    ``Steps.slots``; ``inputs`` are the steps that it reads. ``overwrite`` does the same as ``function`` in
    the memory of an argument; it is there only where nothing else reads that. ``inside`` is the slot by which
    a recurrent layer rounds its states.
    """

    name: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    inputs: tuple[int, ...]
    slot: int | None = None
    overwrite: Callable[..., Any] | None = None
    inside: int | None = None


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
        if step.inside is not None:
            arguments, keywords = self.arguments(index, values)
            return run_recurrent(step.function, arguments, keywords, formats[step.inside])
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

    def arguments(self, index: int, values: Mapping[int, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """What the function of a step is called with."""
        step = self.steps[index]
        return _filled(step.arguments, values), _filled(step.keywords, values)

    def called(self, index: int, values: Mapping[int, Any]) -> Any:
        """The value of a step that rounds nothing; nothing is overwritten."""
        step = self.steps[index]
        return step.function(*_filled(step.arguments, values), **_filled(step.keywords, values))


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
