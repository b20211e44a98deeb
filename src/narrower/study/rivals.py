"""Which plans off the front may belong on it: those whose intervals reach the front's."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from narrower.evaluate.evaluator import Evaluator
from narrower.evaluate.intervals import with_intervals
from narrower.searching.objective import first_broken
from narrower.store.trials import TrialStore
from narrower.study.problem import Problem
from narrower.tasks.intervals import share_interval
from narrower.tasks.task import SampleMetric, leading

MOST_RIVALS = 32  # the nearest to the front

Floats = NDArray[np.float64]


def rivals_of(problem: Problem, store: TrialStore, front: Sequence[int], evaluator: Evaluator) -> list[int]:
    """The trials that no member of the front would beat at the better end of their 95 % interval.

    Of these at most ``MOST_RIVALS``: those that lack the least. There are none where the leading metric is
    no objective, or all are added up.
    """
    metric, each = leading(problem.data.task), problem.objectives.each
    others = [o for o in each if o.metric != metric.name]
    if len(others) == len(each) or problem.objectives.sum_direction is not None or not front:
        return []
    table = store.table([metric.name, *(o.metric for o in others)])
    numbers, values = table[:, 0].astype(int), metric.sign * table[:, 1]
    costs = table[:, 2:] * np.array([o.sign for o in others])
    is_member = np.isin(numbers, list(front))
    best = _best_at_no_more_cost(costs, costs[is_member], values[is_member])
    reach = values + _reaches(problem, metric, store, table[:, 1], numbers[is_member], evaluator)
    found = np.flatnonzero(~is_member & (reach > best))
    found = found[np.argsort((best - values)[found], kind="stable")]
    admitted: list[int] = []
    for number in numbers[found].tolist():
        if len(admitted) == MOST_RIVALS:
            break
        (trial,) = store.trials([number])
        if trial.state == "complete" and not first_broken(problem.constraints, trial.metrics):
            admitted.append(number)
    return sorted(admitted)


def _best_at_no_more_cost(costs: Floats, member_costs: Floats, member_values: Floats) -> Floats:
    """For each plan the best value of the members that cost no more in anything; -inf: there are none."""
    best = np.full(len(costs), -np.inf)
    for own, value in zip(member_costs, member_values, strict=True):
        better = (own <= costs).all(axis=1)
        best[better] = np.maximum(best[better], value)
    return best


def _reaches(
    problem: Problem,
    metric: SampleMetric,
    store: TrialStore,
    values: Floats,
    members: NDArray[np.int64],
    evaluator: Evaluator,
) -> Floats:
    """How far above its value the interval of each trial reaches; what is no share as that of the members."""
    samples = len(problem.part)
    if metric.is_share:
        end = 1 if metric.sign > 0 else 0
        different, place = np.unique(values, return_inverse=True)
        widths = [abs(share_interval(value, samples)[end] - value) for value in different.tolist()]
        return np.array(widths)[place]
    plans = [
        problem.space.plan(problem.space.options_at(trial.plan_index)).formats
        for trial in store.trials(members.tolist())
    ]
    found = with_intervals(evaluator, plans)
    widths = [(each.interval[1] - each.interval[0]) / 2 for each in found if each.interval is not None]
    return np.full(len(values), max(widths, default=0.0))
