"""What all engines do: hand the outputs of plans, batch by batch, to the metrics of the task."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from narrower.data.parts import Part
from narrower.errors import AllTrialsFailedError, ModelError
from narrower.evaluate.own_metric import OwnMetric
from narrower.own_code.failures import OwnCodeError, described, is_of_own_code
from narrower.plan.plan import Plan
from narrower.tasks.quality import Quality, added, failed, quality_of
from narrower.tasks.task import SampleMetric, Sums, leading, wanted_metrics

PLANS_TOGETHER = 2048
HELD_OUTPUT_BYTES = 2**27  # outputs that are held at a time for metrics of all samples together

# Takes the position of a plan, that of its batch's first sample, outputs and targets; or why there are none.
Sink = Callable[[int, int, Tensor, Tensor], None]


class SampleEngine(ABC):
    """Scores plans on the samples of one part, batch by batch."""

    def __init__(self, part: Part, batch_size: int, device: str = "cpu") -> None:
        self._part, self._batch_size, self._device = part, batch_size, device
        self._arguments = self._moved(part.arguments)

    def _moved(self, arguments: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Arguments of the model where it computes."""
        return tuple(argument.to(self._device) for argument in arguments)

    @property
    @abstractmethod
    def layers(self) -> Sequence[str]:
        """The layers that a plan can round, in the order in which they run."""

    @abstractmethod
    def outputs(self, plan: Plan, inputs: Tensor | Sequence[Tensor]) -> Tensor:
        """The outputs of one plan for any samples: the model's argument, or its arguments."""

    def own_outputs(self, plan: Plan) -> Tensor:
        """The outputs of one plan for the samples of the part, with what is held of other plans.

        Raises:
            ModelError: there are none.
        """
        found: list[Tensor] = []
        (failure,) = self._visit([plan], lambda _position, _first, outputs, _: found.append(outputs.clone()))
        if failure is not None:
            raise ModelError(f"no outputs: {failure}")
        return torch.cat(found)

    @abstractmethod
    def release(self) -> None:
        """Let go what is held for other plans."""

    @abstractmethod
    def _visit(self, plans: Sequence[Plan], sink: Sink) -> list[str | None]:
        """Give every plan's outputs for every batch to ``sink``; why there are none, for each plan."""

    def score(self, plans: Sequence[Plan], *, loss: bool, own: Mapping[str, OwnMetric]) -> list[Quality]:
        """The quality of each plan; one that raises or gives NaN has a failure and touches no other."""
        together = PLANS_TOGETHER
        if own and plans:
            together = max(1, min(together, HELD_OUTPUT_BYTES // max(1, self._output_bytes())))
        return [
            quality
            for start in range(0, len(plans), together)
            for quality in self._score(plans[start : start + together], loss, own)
        ]

    def contributions(self, plans: Sequence[Plan]) -> Tensor:
        """What each sample contributes to the leading metric: [plans, N], or [plans, N, K].

        Of a plan that fails they are zeros.
        """
        (found,) = self.contributions_to([leading(self._part.task)], plans)
        return found

    def contributions_to(self, metrics: Sequence[SampleMetric], plans: Sequence[Plan]) -> list[Tensor]:
        """The same for each of some metrics."""
        found: list[Tensor | None] = [None] * len(metrics)

        def keep(position: int, first: int, outputs: Tensor, targets: Tensor) -> None:
            for number, metric in enumerate(metrics):
                own = metric.contributions(outputs, targets)
                kept = found[number]
                if kept is None:
                    kept = found[number] = own.new_zeros(len(plans), len(self._part), *own.shape[1:])
                kept[position, first : first + len(targets)] = own

        self._visit(plans, keep)
        nothing = torch.zeros(len(plans), len(self._part), dtype=torch.bool)
        return [nothing if kept is None else kept for kept in found]

    def _output_bytes(self) -> int:
        outputs = self.outputs(Plan(), self._part.first(1).arguments)
        return len(self._part) * outputs.nbytes

    def _score(self, plans: Sequence[Plan], loss: bool, own: Mapping[str, OwnMetric]) -> list[Quality]:
        samples = len(self._part)
        task = self._part.task
        metrics = wanted_metrics(task, loss=loss)
        sums: list[dict[str, Sums]] = [{} for _ in plans]
        outputs_of: list[list[Tensor]] = [[] for _ in plans]

        def count(position: int, _first: int, outputs: Tensor, targets: Tensor) -> None:
            of_batch = {metric.name: metric.sums(outputs, targets) for metric in metrics}
            sums[position] = added(metrics, sums[position], of_batch)
            if own:
                outputs_of[position].append(outputs.clone())

        failures = self._visit(plans, count)
        qualities = []
        for position in range(len(plans)):
            values: dict[str, float] = {}
            failure = failures[position]
            if own and failure is None:
                try:
                    together = torch.cat(outputs_of[position])
                    values = {name: metric(together, self._part.targets) for name, metric in own.items()}
                except Exception as error:
                    failure = described(error)
            qualities.append(
                quality_of(task, sums[position], samples).with_metrics(values)
                if failure is None
                else failed(failure, samples)
            )
        return qualities


def is_finite(values: Tensor) -> bool:
    """Whether no value is NaN or infinite."""
    return bool(torch.isfinite(values.sum())) or bool(torch.isfinite(values).all())


def all_failed(what: str, first_reason: str | None) -> Exception:
    """The error where no plan could be scored; the user's own code is for the user to mend."""
    is_own = first_reason is not None and is_of_own_code(first_reason)
    return (OwnCodeError if is_own else AllTrialsFailedError)(f"{what}; the first: {first_reason}")
