"""From plans to their qualities: give each its weights, evaluate it, combine seeds, measure its artefact."""

from collections.abc import Mapping, Sequence

import numpy as np

from narrower.data.parts import Part
from narrower.errors import NarrowerError
from narrower.evaluate.evaluator import Evaluator
from narrower.evaluate.held_out import held_out
from narrower.evaluate.own_metric import OwnMetric
from narrower.graph.program import Program
from narrower.plan.plan import Plan
from narrower.preparation.preparation import Preparation, Prepared
from narrower.study.artefacts import Artefacts
from narrower.study.untrained_plans import UntrainedPlans
from narrower.tasks.quality import Quality, failed, rank
from narrower.tasks.task import Task, leading, spread_name


class PlanEvaluator:
    """Scores plans, many at once.

    ``evaluator`` is that of the model as it is. ``artefacts`` and ``measured`` name what is measured on the
    artefact of each plan as well, and ``untrained`` computes proxies; a plan that has none fails.
    """

    def __init__(
        self,
        preparation: Preparation,
        evaluator: Evaluator,
        *,
        loss: bool,
        own_metrics: Mapping[str, OwnMetric],
        artefacts: Artefacts | None = None,
        measured: Sequence[str] = (),
        untrained: UntrainedPlans | None = None,
    ) -> None:
        self.preparation, self._evaluator, self._loss = preparation, evaluator, loss
        self._own_metrics = own_metrics
        self._artefacts, self._measured, self._untrained = artefacts, tuple(measured), untrained
        self._earlier: Mapping[Plan, Quality] = {}
        self._adopted = 0

    @property
    def adopted(self) -> int:
        """Plans whose result came from an earlier search."""
        return self._adopted + self._evaluator.adopted

    def adopt(self, results: Mapping[Plan, Quality]) -> None:
        """Use results of an earlier search under the same conditions."""
        if self.preparation.words is None:
            self._evaluator.adopt(results)
        else:
            self._earlier = results

    def evaluate(self, plans: Sequence[Plan]) -> list[Quality]:
        """The quality of each plan; one that goes wrong has a ``failure``."""
        found: dict[Plan, Quality] = {}
        for plan in dict.fromkeys(plans):
            if plan in self._earlier:
                found[plan] = self._earlier[plan]
                self._adopted += 1
        missing = [plan for plan in dict.fromkeys(plans) if plan not in found]
        if missing:
            for prepared in self.preparation.prepare(missing):
                found.update(zip(prepared.plans, self._scored(prepared), strict=True))
        return [self._with_artefact(plan, self._with_proxies(plan, found[plan])) for plan in plans]

    def _scored(self, prepared: Prepared) -> list[Quality]:
        if prepared.failure is not None:
            return [failed(prepared.failure, len(self._evaluator.part))] * len(prepared.plans)
        formats = [plan.formats for plan in prepared.plans]
        if prepared.keep == "folds":
            scored = held_out(held_out_of(prepared), self._evaluator.batch_size, self._own_metrics)
            return [scored.quality.with_metrics(prepared.recorded)]
        by_seed, task = [], self._evaluator.part.task
        for candidate in prepared.candidates:
            if candidate.program is self._evaluator.program:
                by_seed.append(self._evaluator.evaluate(formats, loss=self._loss))
                continue
            evaluator = Evaluator(
                candidate.program,
                self._evaluator.part,
                batch_size=self._evaluator.batch_size,
                own_metrics=self._own_metrics,
            )
            by_seed.append(evaluator.evaluate(formats, loss=True))
        return [
            combined(task, prepared, qualities).with_metrics(prepared.recorded)
            for qualities in zip(*by_seed, strict=True)
        ]

    def _with_proxies(self, plan: Plan, quality: Quality) -> Quality:
        if self._untrained is None or quality.failure is not None:
            return quality
        try:
            return quality.with_metrics(self._untrained.of(plan))
        except NarrowerError as error:
            return failed(str(error), quality.samples)

    def _with_artefact(self, plan: Plan, quality: Quality) -> Quality:
        if self._artefacts is None or quality.failure is not None:
            return quality
        measured = self._artefacts.measure(plan, self._measured)
        if measured.reasons:
            name, reason = next(iter(measured.reasons.items()))
            return failed(f"{name}: {reason}", quality.samples)
        return quality.with_metrics(measured.values)


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
