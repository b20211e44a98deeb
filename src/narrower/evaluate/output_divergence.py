"""How far the outputs of plans are from those of the float network, on samples without targets."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from numpy.typing import NDArray
from torch import Tensor

from narrower.data.parts import Part
from narrower.evaluate.program_engine import ProgramEngine
from narrower.graph.program import Program
from narrower.plan.plan import Plan
from narrower.tasks.task import LOSS, Ending, Loss, OfSamplesBy, SampleMetric, Words

SAMPLES = 256  # that are looked at
BATCH = 64
CACHE_BYTES = 2**28


class OutputDivergence:
    """The cross-entropy of a plan's outputs with those of float32, less what float32 has with itself.

    ``taught`` takes outputs, those of the float network and a temperature of 1, as ``Loss.taught`` of a task
    does; without it the squared error stands in.
    """

    def __init__(self, program: Program, inputs: Sequence[Tensor], taught: OfSamplesBy | None) -> None:
        """``program`` is lowered; of ``inputs`` the first samples are used."""
        first, *more = (argument[:SAMPLES] for argument in inputs)
        none = Part(first, first.new_zeros(len(first)), tuple(more))
        wanted = ProgramEngine(program, none, BATCH, {}, CACHE_BYTES).outputs(Plan(), none.arguments)
        part = Part(first, wanted, tuple(more), _Imitation(taught or _squared))
        self._engine = ProgramEngine(program, part, BATCH, {}, CACHE_BYTES)

    def of(self, plans: Sequence[Plan]) -> list[float]:
        """One number for each plan: the smaller, the nearer; infinity where it gives no numbers."""
        return [
            inf if quality.failure is not None else quality.metrics[LOSS]
            for quality in self._engine.score(list(plans), loss=True)
        ]

    def nearest(self, plans: Sequence[Plan]) -> int:
        """The place of the plan that is nearest; the first of equally near ones."""
        found = self.of(plans)
        return min(range(len(found)), key=found.__getitem__)


def _squared(outputs: Tensor, wanted: Tensor, _temperature: float) -> Tensor:
    return (outputs - wanted).square().reshape(len(outputs), -1).mean(dim=1)


@dataclass(frozen=True)
class _Imitation:
    """A task whose targets are the outputs of another network."""

    taught: OfSamplesBy

    @property
    def words(self) -> Words:
        return Words("imitation", "output", "outputs")

    @property
    def metrics(self) -> tuple[SampleMetric, ...]:
        def divergence(outputs: Tensor, wanted: Tensor) -> Tensor:
            return self.taught(outputs.double(), wanted.double(), 1.0)

        return (SampleMetric(LOSS, "divergence of outputs", "minimize", divergence),)

    def loss(self, _ending: Ending) -> Loss:
        return Loss("divergence of outputs", lambda outputs, wanted: self.taught(outputs, wanted, 1.0))

    def check(
        self,
        _targets: NDArray[Any],
        names: Sequence[str] | None = None,
        *,
        outputs: Tensor | None = None,  # noqa: ARG002 - whatever a network gives
        teaches: bool = False,  # noqa: ARG002
    ) -> tuple[str, ...]:
        return tuple(names or ())
