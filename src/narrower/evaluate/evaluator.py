"""The quality of many plans at once."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from narrower.evaluate.own_metric import OwnMetric
from narrower.evaluate.quality import Quality, failed
from narrower.evaluate.steps import Steps, compile_steps
from narrower.formats.float32 import FLOAT32
from narrower.formats.number_format import NumberFormat
from narrower.graph.program import Program
from narrower.plan import Plan
from narrower.tasks.datasets import Part

Formats = tuple[NumberFormat, ...]
HELD_OUTPUT_BYTES = 2**27  # outputs that are held at a time for metrics of all samples together


class Evaluator:
    """Scores plans of one model on one set of samples; no plan is evaluated twice.

    ``program`` is the lowered program. The result equals running it alone for each plan, bit for bit, at the
    same batch size and number of threads.
    """

    def __init__(
        self,
        program: Program,
        part: Part,
        *,
        batch_size: int = 4096,
        own_metrics: Mapping[str, OwnMetric] | None = None,
    ) -> None:
        self.program = program
        self.part = part
        self.batch_size = batch_size
        self.adopted = 0  # plans whose result came from an earlier search
        self._own = dict(own_metrics or {})
        self._earlier: Mapping[Plan, Quality] = {}
        self._steps: Steps = compile_steps(program)
        self._results: dict[tuple[Plan, bool], Quality] = {}
        self._weights: dict[tuple[int, NumberFormat], Tensor] = {}

    def evaluate(self, plans: Sequence[Plan], *, loss: bool = False) -> list[Quality]:
        """Score ``plans`` in their order; with ``loss`` the cross entropy is computed as well.

        A plan whose evaluation raises or gives NaN has a ``failure``; the others are not touched by it.
        """
        missing = [plan for plan in dict.fromkeys(plans) if (plan, loss) not in self._results]
        for plan in missing if self._earlier else ():
            earlier = self._earlier.get(plan)
            if earlier is not None and (earlier.loss is not None or not loss):
                self._results[plan, loss] = earlier
                self.adopted += 1
        missing = [plan for plan in missing if (plan, loss) not in self._results]
        for start in range(0, len(missing), self._plans_at_a_time):
            some = missing[start : start + self._plans_at_a_time]
            for plan, quality in zip(some, self._evaluate(some, loss), strict=True):
                self._results[plan, loss] = quality
        return [self._results[plan, loss] for plan in plans]

    def adopt(self, results: Mapping[Plan, Quality]) -> None:
        """Use results of an earlier search with the same model, samples, batch size and threads."""
        self._earlier = results

    @cached_property
    def _plans_at_a_time(self) -> int:
        if not self._own:
            return 2**31
        with torch.inference_mode():
            outputs = _Path(self._steps, self.part.inputs[:1], self._weights).output(self._formats(Plan()))
        return max(1, HELD_OUTPUT_BYTES // (len(self.part) * outputs.nbytes))

    def outputs(self, plan: Plan, inputs: Tensor) -> Tensor:
        """The scores [N, classes] of one plan for any samples."""
        formats = self._formats(plan)
        batches = []
        with torch.inference_mode():
            for batch in torch.split(inputs, self.batch_size):
                path = _Path(self._steps, batch, self._weights)
                batches.append(path.output(formats))
        return torch.cat(batches)

    def _formats(self, plan: Plan) -> Formats:
        layers = dict(plan.layers)
        return tuple(
            getattr(layers[layer], operand) if layer in layers else FLOAT32
            for layer, operand in self._steps.slots
        )

    def _evaluate(self, plans: list[Plan], loss: bool) -> list[Quality]:
        formats = [self._formats(plan) for plan in plans]
        # Plans that agree in their first slots follow each other: what they share is computed once.
        ranks: dict[NumberFormat, int] = {}
        keys = [tuple(ranks.setdefault(f, len(ranks)) for f in row) for row in formats]
        order = sorted(range(len(plans)), key=keys.__getitem__)
        samples = len(self.part)
        correct, losses = [0] * len(plans), [0.0] * len(plans)
        failures: list[str | None] = [None] * len(plans)
        held: list[list[Tensor]] = [[] for _ in plans]
        batches = zip(
            torch.split(self.part.inputs, self.batch_size),
            torch.split(self.part.targets, self.batch_size),
            strict=True,
        )
        with torch.inference_mode():
            for inputs, targets in batches:
                path = _Path(self._steps, inputs, self._weights)
                for index in order:
                    if failures[index] is not None:
                        continue
                    try:
                        outputs = path.output(formats[index])
                        if not torch.isfinite(outputs.sum()):
                            failures[index] = "the outputs hold NaN or infinity"
                            continue
                        correct[index] += int((outputs.argmax(dim=1) == targets).sum())
                        if self._own:
                            held[index].append(outputs.clone())
                        if loss:
                            losses[index] += float(F.cross_entropy(outputs, targets, reduction="sum"))
                    except Exception as error:
                        failures[index] = f"{type(error).__name__}: {error}"
                        path = _Path(self._steps, inputs, self._weights)
        own = [self._own_values(held[i], failures, i) for i in range(len(plans))]
        return [
            failed(failure, samples)
            if (failure := failures[i]) is not None
            else Quality(correct[i], samples, losses[i] / samples if loss else None, own=own[i])
            for i in range(len(plans))
        ]

    def _own_values(
        self, outputs: list[Tensor], failures: list[str | None], index: int
    ) -> tuple[tuple[str, float], ...]:
        if not self._own or failures[index] is not None:
            return ()
        try:
            return tuple(
                (name, function(torch.cat(outputs), self.part.targets))
                for name, function in self._own.items()
            )
        except Exception as error:
            failures[index] = f"{type(error).__name__}: {error}"
            return ()


class _Path:
    """The values of one batch for the plan that was visited last."""

    def __init__(self, steps: Steps, inputs: Tensor, weights: dict[tuple[int, NumberFormat], Tensor]) -> None:
        self._steps = steps
        self._weights = weights
        self._values: list[Any] = [steps.constants.get(i) for i in range(len(steps.steps))]
        (only_input,) = steps.batch_inputs
        self._values[only_input] = inputs
        self._formats: Formats | None = None

    def output(self, formats: Formats) -> Tensor:
        """The program's output under a plan; only what differs from the last plan is computed."""
        for index in self._stale(formats):
            self._values[index] = self._value(index, formats)
        self._formats = formats
        output: Tensor = self._values[self._steps.output]
        return output

    def _stale(self, formats: Formats) -> Sequence[int]:
        if self._formats is None:
            known = self._steps.constants
            return [
                i for i in range(len(self._values)) if i not in known and i not in self._steps.batch_inputs
            ]
        changed = [s for s, (a, b) in enumerate(zip(self._formats, formats, strict=True)) if a != b]
        if not changed:
            return ()
        affected = self._steps.affected
        return (
            affected[changed[0]]
            if len(changed) == 1
            else sorted(set().union(*(affected[s] for s in changed)))
        )

    def _value(self, index: int, formats: Formats) -> Any:
        step = self._steps.steps[index]
        if step.slot is not None and step.inputs[0] in self._steps.constants:
            key = (index, formats[step.slot])
            if key not in self._weights:
                self._weights[key] = self._steps.run(index, self._values, formats)
            return self._weights[key]
        return self._steps.run(index, self._values, formats)
