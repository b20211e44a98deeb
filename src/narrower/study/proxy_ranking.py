"""How well each zero-cost proxy ranks candidates: its rank correlation with what training gives."""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from math import inf
from typing import Any

import numpy as np

from narrower.errors import NarrowerError, SettingsError
from narrower.evaluate.batch_size import fitting_batch_size
from narrower.evaluate.evaluator import Evaluator
from narrower.plan.plan import Plan, plan_to_dict
from narrower.searching.costs import broken
from narrower.searching.objective import PROXIES
from narrower.study.evaluators import build_plan_evaluator
from narrower.study.problem import Problem
from narrower.study.rank_correlation import rank_correlation
from narrower.study.untrained_plans import UntrainedPlans
from narrower.tasks.task import leading

DRAWS = 2000  # of the bootstrap over candidates
LEAST = 4  # candidates that a correlation is taken of
MOST_TRIES = 100  # for one candidate of other widths than those before

Report = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class ProxyRank:
    """Spearman's rank correlation of a proxy and the leading metric, with its 95 % interval.

    None, with the reason, where the proxy cannot be computed, too few are scored, or all values are the same.
    """

    proxy: str
    correlation: float | None
    interval: tuple[float, float] | None
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class ProxyRanking:
    """The proxies from the best to the worst; ``candidates`` have a plan, the metric, and each proxy."""

    metric: str
    ranks: tuple[ProxyRank, ...]
    candidates: tuple[dict[str, Any], ...]

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return asdict(self)


def rank_proxies(problem: Problem, count: int, report: Report) -> ProxyRanking:
    """Train ``count`` random candidates of different widths, and compare with what proxies foretold.

    Raises:
        SettingsError: candidates are not trained networks of different widths, or there are too few.
    """
    if problem.channels is None or not problem.preparation.trains_float32:
        raise SettingsError(
            "search.strategy.eval_mode: proxies foretell what trained networks of different widths reach; "
            "allowed: false, in a search over widths"
        )
    plans = _drawn(problem, count)
    if len(plans) < LEAST:
        raise SettingsError(f"found {len(plans)} candidates of different widths; allowed: {LEAST} or more")
    metric = leading(problem.data.task)
    evaluator = Evaluator(
        problem.subject.lowered,
        problem.part,
        batch_size=fitting_batch_size(problem.subject.lowered, len(problem.part)),
        own_metrics=problem.own_metrics,
    )
    trained = build_plan_evaluator(problem, evaluator)
    rows: list[dict[str, Any]] = []
    together = trained.preparation.together or 1
    for start in range(0, len(plans), together):
        some = plans[start : start + together]
        for plan, quality in zip(some, trained.evaluate(some), strict=True):
            if quality.failure is None:
                rows.append({"plan": plan_to_dict(plan), metric.name: quality.metrics[metric.name]})
        report("candidates trained", start + len(some), len(plans))
    by_plan = {str(plan_to_dict(plan)): plan for plan in plans}
    failures: dict[str, str] = {}
    for name in PROXIES:
        untrained = UntrainedPlans(problem, [name])
        for row in rows:
            try:
                row[name] = untrained.of(by_plan[str(row["plan"])])[name]
            except NarrowerError as error:
                failures.setdefault(name, str(error))
                break
    ranks = [_rank(name, failures.get(name), rows, metric.name, metric.sign) for name in PROXIES]
    return ProxyRanking(metric.name, best_first(ranks), tuple(rows))


def best_first(ranks: Iterable[ProxyRank]) -> tuple[ProxyRank, ...]:
    """From the highest correlation to the lowest; those without one come last, as they came."""
    return tuple(sorted(ranks, key=lambda rank: inf if rank.correlation is None else -rank.correlation))


def _drawn(problem: Problem, count: int) -> list[Plan]:
    """Random plans of different widths that the constraints admit."""
    chance, found = random.Random(problem.options.seed), {}
    space = problem.space
    for _ in range(count * MOST_TRIES):
        options = space.options_at(chance.randrange(space.size))
        plan = space.plan(options)
        widths = tuple(plan.widths.items())
        if widths not in found and broken(problem.constraints, problem.costs.of([options]), 1)[0] is None:
            found[widths] = plan
        if len(found) == count:
            break
    return list(found.values())


def _rank(
    name: str, failure: str | None, rows: Sequence[dict[str, Any]], metric: str, sign: int
) -> ProxyRank:
    if failure is not None:
        return ProxyRank(name, None, None, failure)
    pairs = np.array([(row[name], sign * row[metric]) for row in rows])
    if len(pairs) < LEAST:
        return ProxyRank(name, None, None, f"only {len(pairs)} candidates could be scored")
    if any(len(np.unique(column)) < 2 for column in pairs.T):  # noqa: PLR2004 - two differ
        return ProxyRank(name, None, None, "all values are the same")
    correlation = rank_correlation(*pairs.T.tolist())
    chance = np.random.default_rng(len(pairs))
    drawn = []
    for _ in range(DRAWS):
        some = pairs[chance.integers(len(pairs), size=len(pairs))]
        if all(len(np.unique(column)) > 1 for column in some.T):
            drawn.append(rank_correlation(*some.T.tolist()))
    low, high = np.quantile(drawn, (0.025, 0.975)).tolist()
    return ProxyRank(name, correlation, (low, high))
