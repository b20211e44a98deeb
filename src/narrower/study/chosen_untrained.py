"""Which plans of rounds are trained at all: the best by a number that needs no training."""

from collections.abc import Collection, Mapping, Sequence
from math import inf

from narrower.errors import NarrowerError, SettingsError, nearest
from narrower.plan.plan import Plan
from narrower.searching.objective import PROXIES, Objectives, is_quality
from narrower.study.halving import best_by_rank
from narrower.study.problem import Problem
from narrower.study.staged_training import StepsSeen
from narrower.tasks.task import LOSS, leading
from narrower.training.finetuning import UNTRAINED
from narrower.training.proxies import proxies
from narrower.training.rounding import rounded

Row = tuple[Plan, Mapping[str, float]]  # and its metrics before training


def check_order(order: str | None) -> None:
    """Check the name of what chooses the plans that are trained.

    Raises:
        SettingsError: there is no such number.
    """
    allowed = (UNTRAINED, *PROXIES)
    if order is not None and order not in allowed:
        raise SettingsError(
            f"order: expected one of {', '.join(allowed)}, found {order!r}{nearest(order, allowed)}"
        )


def chosen_untrained(
    problem: Problem, order: str, rows: Sequence[Row], count: int, seen: StepsSeen
) -> list[int]:
    """The places of the best ``count`` plans by non-dominated rank, with ``order`` for what data say of them.

    Plans whose proxy cannot be computed come last.

    Raises:
        NarrowerError: it cannot be computed for any plan.
    """
    objectives = problem.objectives
    if order == UNTRAINED:
        metric = leading(problem.data.task).name
        return best_by_rank([by_loss(objectives, metrics, metric) for _, metrics in rows], count)
    qualities = {o.metric for o in objectives.each if is_quality(o.metric)}
    losses: list[tuple[float, ...]] = []
    reasons: list[NarrowerError] = []
    for number, (plan, metrics) in enumerate(rows):
        value = -inf
        try:
            value = proxy_of_plan(order, problem, plan)
        except NarrowerError as error:  # rounding may leave nothing of a network
            reasons.append(error)
        losses.append(_in_place(objectives, qualities, -value, metrics))
        seen(f"ordered by {order}", number + 1, len(rows), "")
    if len(reasons) == len(rows) > 0:
        raise type(reasons[0])(f"order: {reasons[0]}") from reasons[0]
    known = [place for place, own in enumerate(losses) if own[0] < inf]
    chosen = [
        known[place] for place in best_by_rank([losses[place] for place in known], min(count, len(known)))
    ]
    left = [place for place in range(len(rows)) if losses[place][0] == inf]
    return sorted([*chosen, *left[: count - len(chosen)]])


def proxy_of_plan(name: str, problem: Problem, plan: Plan) -> float:
    """A proxy of the model with the weights that it has, rounded as a plan says, as are its data.

    Raises:
        NarrowerError: it cannot be computed.
    """
    return proxies([name], rounded(problem.model, plan), problem.data.train)[name]


def by_loss(objectives: Objectives, metrics: Mapping[str, float], metric: str) -> tuple[float, ...]:
    """The losses of objectives, with the loss on samples in the place of the leading ``metric``, if known.

    It tells plans apart that a metric of right and wrong, after few steps, does not.
    """
    named = {objective.metric for objective in objectives.each}
    if objectives.sum_direction is not None or metric not in named or LOSS in named or LOSS not in metrics:
        return objectives.losses(metrics)
    return _in_place(objectives, {metric}, metrics[LOSS], metrics)


def _in_place(
    objectives: Objectives, replaced: Collection[str], number: float, metrics: Mapping[str, float]
) -> tuple[float, ...]:
    """A number in the place of some objectives, and the losses of the others."""
    return (number, *(o.sign * metrics[o.metric] for o in objectives.each if o.metric not in replaced))
