"""From plans to their qualities: give each its weights, evaluate it, combine seeds, measure its artefact."""

from collections.abc import Mapping, Sequence

from narrower.errors import NarrowerError
from narrower.evaluate.evaluator import Evaluator
from narrower.evaluate.own_metric import OwnMetric
from narrower.plan.plan import Plan
from narrower.preparation.preparation import Preparation
from narrower.study.artefacts import Artefacts
from narrower.study.candidate_work import CandidatesElsewhere
from narrower.study.scoring import Scoring
from narrower.study.untrained_plans import UntrainedPlans
from narrower.tasks.quality import Quality, failed


class PlanEvaluator:
    """Scores plans, many at once.

    ``evaluator`` is that of the model as it is. ``artefacts`` and ``measured`` name what is measured on the
    artefact of each plan as well, and ``untrained`` computes proxies; a plan that has none fails. Workers
    ``elsewhere`` prepare and score, where there are some.
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
        self._scoring = Scoring(evaluator.part, evaluator.batch_size, own_metrics)
        self.elsewhere: CandidatesElsewhere | None = None
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

    def work_elsewhere(self, elsewhere: CandidatesElsewhere) -> None:
        """Have plans prepared and scored by workers."""
        self.elsewhere = elsewhere

    def evaluate(self, plans: Sequence[Plan]) -> list[Quality]:
        """The quality of each plan; one that goes wrong has a ``failure``."""
        return self.evaluate_lists([plans])

    def evaluate_lists(self, lists: Sequence[Sequence[Plan]]) -> list[Quality]:
        """The qualities of plans that are prepared as if one list came after the other."""
        found: dict[Plan, Quality] = {}
        for plan in dict.fromkeys(plan for plans in lists for plan in plans):
            if plan in self._earlier:
                found[plan] = self._earlier[plan]
                self._adopted += 1
        if self.elsewhere is not None:
            found |= self.elsewhere.evaluate([[p for p in plans if p not in found] for plans in lists])
        for plans in lists:
            missing = [plan for plan in dict.fromkeys(plans) if plan not in found]
            for prepared in self.preparation.prepare(missing) if missing else ():
                scored = self._scoring.of(prepared, self._evaluator, loss=self._loss)
                found.update(zip(prepared.plans, scored, strict=True))
        return [
            self._with_artefact(plan, self._with_proxies(plan, found[plan]))
            for plans in lists
            for plan in plans
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
