"""Whether chance alone may have put a plan on the front."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrower.evaluate.evaluator import Evaluator
from narrower.plan.plan import Plan
from narrower.store.trial import Trial
from narrower.store.trials import TrialStore
from narrower.study.measured_metrics import telling_metric
from narrower.study.problem import Problem
from narrower.tasks.paired import is_better
from narrower.tasks.task import SampleMetric, leading

RIVALS = 5  # plans that a member of the front is compared with: the best of those that cost less
MEMBERS_TOGETHER = 64

Table = NDArray[np.float64]


def are_certain(
    problem: Problem, store: TrialStore, members: Sequence[Trial], evaluator: Evaluator
) -> list[bool | None]:
    """Whether each member leads, at 95 %, every plan that is better in all else.

    In the leading metric, or where that is not searched in the first metric of the samples that is. None
    where there is none, or nothing else is searched.
    """
    metric, each = telling_metric(problem), problem.objectives.each
    if metric is None or len(each) == 1 or problem.objectives.sum_direction is not None:
        return [None] * len(members)
    others = [o for o in each if o.metric != metric.name]
    signs = np.array([o.sign for o in others])
    table = store.table([metric.name, *(o.metric for o in others)])
    certain: list[bool | None] = []
    for start in range(0, len(members), MEMBERS_TOGETHER):
        some = members[start : start + MEMBERS_TOGETHER]
        rivals = [_rivals(member, table, [o.metric for o in others], signs, metric.sign) for member in some]
        numbers = sorted({member.number for member in some}.union(*rivals))
        plans = [
            problem.space.plan(problem.space.options_at(trial.plan_index)) for trial in store.trials(numbers)
        ]
        found = dict(zip(numbers, _contributions(problem, metric, plans, evaluator), strict=True))
        certain += [
            all(is_better(metric, found[member.number], found[rival]) for rival in own)
            for member, own in zip(some, rivals, strict=True)
        ]
    return certain


def _contributions(
    problem: Problem, metric: SampleMetric, plans: Sequence[Plan], evaluator: Evaluator
) -> list[NDArray[Any]]:
    if metric.name == leading(problem.data.task).name:
        return list(evaluator.contributions(plans).numpy())
    return [evaluator.contributions_to([metric], plan)[0].numpy() for plan in plans]


def _rivals(
    member: Trial, table: Table, costs: Sequence[str], signs: NDArray[np.int64], sign: int
) -> list[int]:
    own = np.array([member.metrics[name] for name in costs]) * signs
    others = table[:, 2:] * signs
    rows = table[(others <= own).all(axis=1) & (others < own).any(axis=1)]
    strongest: list[int] = (
        rows[np.argsort(-sign * rows[:, 1], kind="stable")[:RIVALS], 0].astype(int).tolist()
    )
    return strongest
