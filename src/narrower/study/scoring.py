"""How plans that have weights of their own are scored, and what several seeds of one come to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from narrower.data.parts import Part
from narrower.evaluate.evaluator import Evaluator
from narrower.evaluate.held_out import held_out
from narrower.evaluate.own_metric import OwnMetric
from narrower.graph.program import Program
from narrower.plan.plan import Plan
from narrower.preparation.preparation import Candidate, Prepared
from narrower.tasks.quality import Quality, failed, rank
from narrower.tasks.task import Task, leading, spread_name


@dataclass(frozen=True, slots=True)
class Scoring:
    """The samples that score, and how many at a time."""

    part: Part
    batch_size: int
    own_metrics: Mapping[str, OwnMetric]

    def of(self, prepared: Prepared, shared: Evaluator | None = None, *, loss: bool = True) -> list[Quality]:
        """The qualities of plans; ``shared`` scores those that have the model's own weights."""
        if prepared.failure is not None:
            return [failed(prepared.failure, len(self.part))] * len(prepared.plans)
        formats = [plan.formats for plan in prepared.plans]
        if prepared.keep == "folds":
            scored = held_out(held_out_of(prepared), self.batch_size, self.own_metrics)
            return [scored.quality.with_metrics(prepared.recorded)]
        by_seed = []
        for candidate in prepared.candidates:
            if shared is not None and candidate.program is shared.program:
                by_seed.append(shared.evaluate(formats, loss=loss))
            else:
                by_seed.append(self._evaluator(candidate).evaluate(formats, loss=True))
        return [
            combined(self.part.task, prepared, qualities).with_metrics(prepared.recorded)
            for qualities in zip(*by_seed, strict=True)
        ]

    def _evaluator(self, candidate: Candidate) -> Evaluator:
        return Evaluator(
            candidate.program, self.part, batch_size=self.batch_size, own_metrics=self.own_metrics
        )


def held_out_of(prepared: Prepared) -> list[tuple[Program, Plan, Part]]:
    """The programs of folds, each with its plan there and the samples that it scores."""
    return [
        (each.program, each.plan.formats, each.part) for each in prepared.candidates if each.part is not None
    ]


def combined(task: Task, prepared: Prepared, qualities: Sequence[Quality]) -> Quality:
    """The quality over several seeds: the mean or the best, with how far they lie apart."""
    failures = [quality.failure for quality in qualities if quality.failure is not None]
    if failures:
        return failed(failures[0], qualities[0].samples)
    if len(qualities) == 1:
        return qualities[0]
    name, metric = spread_name(task), leading(task)
    spread = float(np.std([quality.metrics[metric.name] for quality in qualities], ddof=1))
    if prepared.keep == "best":
        return max(qualities, key=lambda quality: rank(task, quality)).with_metrics({name: spread})
    samples = sum(quality.samples for quality in qualities)
    values = {
        each: float(np.mean([quality.metrics[each] for quality in qualities]))
        for each in qualities[0].metrics
    }
    if metric.is_share:  # exactly
        hits = sum(round(quality.metrics[metric.name] * quality.samples) for quality in qualities)
        values[metric.name] = hits / samples
    return Quality(samples, {**values, name: spread})
