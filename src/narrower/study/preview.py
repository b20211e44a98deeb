"""What a search would do, without doing it."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import numpy as np

from narrower.evaluate.batch_size import fitting_batch_size
from narrower.evaluate.evaluator import Evaluator
from narrower.preparation.settings import LearnedSettings
from narrower.searching.costs import SpaceCosts, broken
from narrower.searching.known import Known
from narrower.searching.samplers.build import build_sampler
from narrower.searching.samplers.catalogue import ENUMERATIONS
from narrower.searching.samplers.sampler import Sampler
from narrower.searching.space import Options
from narrower.study.problem import Problem

COUNTED_EXACTLY = 2**18
SAMPLED = 2**15
TIMED_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Preview:
    """Size of the space, range of each cost, plans cut by constraints on cost, and an estimate of the time.

    ``cut`` is None where no constraint looks at cost; ``counted`` says whether it was counted or estimated.
    ``seconds`` is None where every candidate is trained first, the data are not here, or
    the first plan already fails.
    """

    space_size: int
    trials: int
    ranges: dict[str, tuple[float, float]]
    cut: dict[str, int] | None
    counted: str
    seconds: float | None
    estimated_from: str

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class LearnedPreview:
    """How plans are learned: the settings by name, in words, and how many members are kept at most."""

    settings: dict[str, Any]
    words: str
    most_members: int


def learned_preview(problem: Problem) -> LearnedPreview | None:
    """What a training would do that proposes plans itself; None where a sampler proposes them."""
    if not isinstance(problem.preparation, LearnedSettings):
        return None
    wanted = problem.preparation.of(len(problem.data.train))
    return LearnedPreview(asdict(wanted), problem.preparation.words, wanted.most_members)


def preview(problem: Problem) -> Preview:
    """Count and price the space, and time a few of its plans."""
    costs = problem.costs
    cut, counted = _cut(problem, costs)
    admitted = problem.space.size - sum((cut or {}).values())
    trials = min(problem.wanted_trials, admitted)
    seconds, estimated_from = _seconds(problem, trials)
    return Preview(problem.space.size, trials, costs.ranges(), cut, counted, seconds, estimated_from)


def _cut(problem: Problem, costs: SpaceCosts) -> tuple[dict[str, int] | None, str]:
    ranges = costs.ranges()
    if not any(constraint.metric in ranges for constraint in problem.constraints):
        return None, ""
    size = problem.space.size
    if size <= COUNTED_EXACTLY:
        options, share, counted = list(problem.space.enumerate()), 1.0, "counted"
    else:
        chance = np.random.default_rng(problem.options.seed)
        columns = [chance.integers(count, size=SAMPLED).tolist() for count in problem.space.counts]
        options, share = list(zip(*columns, strict=True)), size / SAMPLED
        counted = f"estimated from {SAMPLED:,} random plans"
    reasons = Counter(
        reason for reason in broken(problem.constraints, costs.of(options), len(options)) if reason
    )
    return {reason: round(count * share) for reason, count in reasons.items()}, counted


def _seconds(problem: Problem, trials: int) -> tuple[float | None, str]:
    if problem.data.stands_in:
        return None, "the data are not here"
    if not problem.shares_weights:
        return None, "every candidate has weights of its own"
    lowered = problem.subject.lowered
    batch_size = fitting_batch_size(lowered, len(problem.part))
    evaluator = Evaluator(lowered, problem.part, batch_size=batch_size, own_metrics=problem.own_metrics)
    loss = "loss" in problem.seen_metrics
    # As they will come: an enumeration goes from plan to plan that is nearly the same, the others do not.
    blind = problem.options.sampler if problem.options.sampler in ENUMERATIONS else "random"
    known = Known(problem.costs, problem.objectives, problem.constraints)
    sampler = build_sampler(
        blind, problem.space, seed=problem.options.seed, wanted=max(1, trials), known=known
    )
    plans = (problem.space.plan(options) for options in _asked(sampler))
    (first,) = evaluator.evaluate(list(islice(plans, 1)), loss=loss)  # what is compiled once is not counted
    if first.failure is not None:
        return None, f"the first plan fails: {first.failure}"
    count, timed, each = 1, 1, 0.0
    while some := list(islice(plans, count)):
        start = time.perf_counter()
        evaluator.evaluate(some, loss=loss)
        seconds = time.perf_counter() - start
        each, timed = seconds / len(some), len(some)
        if seconds > TIMED_SECONDS or timed >= trials:
            break
        count *= 4  # many plans together take less time for each
    plans_words = f"{timed:,} plan{'s' * (timed > 1)}"
    return each * trials, f"from {plans_words}; the sampler's own time comes on top"


def _asked(sampler: Sampler) -> Iterator[Options]:
    while some := sampler.ask(sampler.default_batch):
        yield from some
