"""What compared searches are told of plans, and what is recorded of their proposals, counted by hand."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan
from narrower.searching.objective import Constraint, Objective, Objectives
from narrower.study.comparison.contest import Watched
from narrower.study.comparison.quality_book import QualityBook, admitted, losses
from narrower.tasks.quality import Quality, failed

PLANS = [Plan((("layer", LayerPlan(weight=FixedPoint(bits, 1))),)) for bits in (2, 4, 8)]


def test_a_plan_is_scored_once_and_answers_keep_their_order() -> None:
    asked: list[list[Plan]] = []

    def score(plans: Sequence[Plan]) -> list[Quality]:
        asked.append(list(plans))
        return [Quality(10, {"accuracy": PLANS.index(plan) / 10}) for plan in plans]

    book = QualityBook(score)
    first = book.score([PLANS[1], PLANS[0], PLANS[1]])
    assert [quality.metrics["accuracy"] for quality in first] == [0.1, 0.0, 0.1]
    assert asked == [[PLANS[1], PLANS[0]]]
    again = book.score([PLANS[2], PLANS[0]])
    assert [quality.metrics["accuracy"] for quality in again] == [0.2, 0.0]
    assert asked[1:] == [[PLANS[2]]]
    book.score([PLANS[0]])
    assert len(asked) == 2
    assert len(book) == 3


def test_there_is_a_failure_only_where_every_plan_failed() -> None:
    def score(plans: Sequence[Plan]) -> list[Quality]:
        reasons = {PLANS[0]: "no weights", PLANS[1]: "no loss"}
        return [failed(reasons[plan], 10) if plan in reasons else Quality(10, {}) for plan in plans]

    book = QualityBook(score)
    assert book.failure is None  # nothing is known yet
    book.score(PLANS[:2])
    assert book.failure == "no weights"
    book.score(PLANS)
    assert book.failure is None


def made_up_contest() -> Any:
    """Three plans by number, with costs, one bound and two objectives."""
    return SimpleNamespace(
        space=SimpleNamespace(options_at=lambda index: (index,), plan=lambda options: PLANS[options[0]]),
        costs=SimpleNamespace(
            of=lambda options: {"bitops": np.array([10.0 * (number + 1) for (number,) in options])}
        ),
        constraints=(Constraint("bitops", None, 20.0),),
        objectives=Objectives((Objective("accuracy", "maximize"), Objective("bitops", "minimize"))),
    )


def test_metrics_are_costs_and_qualities_and_bounds_cut() -> None:
    contest = made_up_contest()
    book = QualityBook(
        lambda plans: [
            failed("no number", 10)
            if plan == PLANS[0]
            else Quality(10, {"accuracy": 0.5 + PLANS.index(plan)})
            for plan in plans
        ]
    )
    book.score(PLANS)
    rows = book.metrics(contest, [2, 0, 1])
    assert rows == [{"bitops": 30.0, "accuracy": 2.5}, None, {"bitops": 20.0, "accuracy": 1.5}]
    kept = admitted(contest, rows)
    assert kept == [None, None, {"bitops": 20.0, "accuracy": 1.5}]  # a bound is included
    assert losses(contest, kept) == [None, None, (-1.5, 20.0)]


class Proposes:
    """Proposes what it was given, in groups."""

    never_repeats, covers_space, default_batch, note = False, False, 2, ""

    def __init__(self, groups: list[list[tuple[int, ...]]]) -> None:
        self.groups = groups
        self.told: list[tuple[tuple[int, ...], Any]] = []

    def ask(self, count: int) -> list[tuple[int, ...]]:
        return self.groups.pop(0)

    def tell(self, options: tuple[int, ...], losses: Any) -> None:
        self.told.append((options, losses))


class Clock:
    """Seconds that pass only where a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_time_of_a_plan_is_the_median_and_slow_plans_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr("narrower.study.comparison.quality_book.time.perf_counter", clock)
    takes = iter([2.0, 0.5, 2.75, 9.0])

    def score(plans: Sequence[Plan]) -> list[Quality]:
        clock.now += next(takes)
        return [Quality(10, {})] * len(plans)

    some = [*PLANS, Plan()]
    book = QualityBook(score)
    assert book.seconds_alone(some) == 2.0
    assert len(book) == 3  # 5.25 seconds had passed before the last one


def test_the_samplers_own_time_is_that_of_its_calls_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr("narrower.study.comparison.contest.time.process_time", clock)
    space: Any = SimpleNamespace(index_of=lambda options: options[0])

    class Slow(Proposes):
        def ask(self, count: int) -> list[tuple[int, ...]]:
            clock.now += 2.0
            return super().ask(count)

        def tell(self, options: tuple[int, ...], losses: Any) -> None:
            clock.now += 0.5

    sampler: Any = Slow([[(5,), (6,)], [(7,)]])
    watched = Watched(sampler, space)
    for _ in range(2):
        for options in watched.ask(2):
            clock.now += 10.0  # scoring a plan
            watched.tell(options, None)
    assert watched.at([5, 6, 7]) == ((0, 0, 0), (2.0, 2.0, 2.0 + 2 * 0.5 + 2.0))


def test_repeats_until_a_plan_are_counted_and_drawn_plans_have_their_place() -> None:
    space: Any = SimpleNamespace(index_of=lambda options: options[0])
    sampler: Any = Proposes([[(5,), (5,)], [(5,), (7,), (9,)]])
    watched = Watched(sampler, space)
    for _ in range(2):
        for options in watched.ask(2):
            watched.tell(options, None)
    watched.tell((3,), (0.5,))  # drawn in the sampler's place
    repeats, seconds = watched.at([5, 7, 3])  # 9 was not admitted
    assert repeats == (0, 2, 2)  # 5 came twice more before 7
    assert all(value >= 0 for value in seconds)
    assert list(seconds) == sorted(seconds)
    assert sampler.told[-1] == ((3,), (0.5,))
