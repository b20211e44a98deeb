"""Plans are shared among processes, and nothing is lost with one of them."""

import os
import signal
from collections.abc import Sequence

import pytest

from narrower.evaluate.backends import processes as backends_processes
from narrower.evaluate.backends.processes import MOST_REPLACED, Evaluate, Processes
from narrower.evaluate.backends.settings import BackendSettings
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan
from narrower.tasks.quality import Quality

PARENT = os.getpid()
PLANS = [
    Plan.of({"a": LayerPlan(weight=FixedPoint(width, 1)), "b": LayerPlan(data=FixedPoint(2, frac))})
    for width in range(2, 9)
    for frac in range(5)
]


def quality(plan: Plan, loss: bool) -> Quality:
    metrics = {"m:f": float(plan.layer("a").weight.bits)} | ({"loss": 0.5} if loss else {})
    return Quality(10, metrics, {"hit": (3.0, 4.0)})


class Scoring:
    """An engine that is one function."""

    layers = ("a", "b")

    def __init__(self, score: Evaluate) -> None:
        self.score = score

    def warm_up(self) -> None:
        pass


class Training(Scoring):
    """Work that is one function."""

    layers = ()

    def probe(self, tasks: Sequence[int]) -> list[int]:
        return []


def started(score: Evaluate, jobs: int) -> Processes:
    processes = Processes(BackendSettings(jobs=jobs), print)
    processes.start(Scoring(score))
    return processes


def test_the_answers_are_in_order_and_come_from_several_processes() -> None:
    def score(plans: Sequence[Plan], loss: bool) -> list[Quality]:
        return [Quality(os.getpid(), quality(plan, loss).metrics) for plan in plans]

    workers = started(score, 3)
    found = workers.score(PLANS, False)
    workers.close()
    assert [one.metrics for one in found] == [quality(plan, False).metrics for plan in PLANS]
    assert len({one.samples for one in found}) == 3
    assert found[0].samples == PARENT


def test_a_share_whose_process_dies_is_scored_here() -> None:
    def score(plans: Sequence[Plan], loss: bool) -> list[Quality]:
        if os.getpid() != PARENT:
            os.kill(os.getpid(), signal.SIGKILL)
        return [quality(plan, loss) for plan in plans]

    workers = started(score, 2)
    expected = [quality(plan, True) for plan in PLANS]
    assert workers.score(PLANS, True) == expected
    assert workers.score(PLANS[:1], True) == expected[:1]
    workers.close()


def test_a_worker_that_is_killed_is_replaced_and_counted() -> None:
    def score(plans: Sequence[Plan], loss: bool) -> list[Quality]:
        return [Quality(os.getpid(), quality(plan, loss).metrics) for plan in plans]

    workers = started(score, 3)
    before = {one.samples for one in workers.score(PLANS, False)}
    victim = max(before - {PARENT})
    os.kill(victim, signal.SIGKILL)
    during = {one.samples for one in workers.score(PLANS, False)}
    assert during == before - {victim}
    after = {one.samples for one in workers.score(PLANS, False)}
    assert len(after) == 3
    assert victim not in after
    assert workers.lost == 1
    workers.close()


def test_workers_that_all_die_are_not_replaced_for_ever() -> None:
    def score(plans: Sequence[Plan], loss: bool) -> list[Quality]:
        if os.getpid() != PARENT:
            os._exit(1)
        return [quality(plan, loss) for plan in plans]

    workers = started(score, 2)
    for _ in range(10):
        assert workers.score(PLANS, True) == [quality(plan, True) for plan in PLANS]
    assert workers.lost == 1 + MOST_REPLACED
    workers.close()


def test_answers_that_an_interruption_left_behind_are_not_taken_for_those_of_the_next_plans() -> None:
    interruptions = [KeyboardInterrupt]

    def score(plans: Sequence[Plan], loss: bool) -> list[Quality]:
        if os.getpid() == PARENT and interruptions:
            raise interruptions.pop()
        return [quality(plan, loss) for plan in plans]

    workers = started(score, 2)
    with pytest.raises(KeyboardInterrupt):
        workers.score(PLANS, True)
    others = PLANS[::-1]
    assert workers.score(others, True) == [quality(plan, True) for plan in others]
    workers.close()


def pids(tasks: Sequence[int], loss: bool) -> list[int]:
    return [os.getpid() for _ in tasks]


def test_copies_train_where_pytorch_lets_them() -> None:
    workers = Processes(BackendSettings(jobs=2), print)
    workers.start(Training(pids))
    found = workers.score([1, 2, 3, 4], False)
    workers.close()
    assert len(set(found)) == 2
    assert PARENT in found


def test_one_process_trains_where_copies_cannot_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def gradient() -> None:
        if os.getpid() != PARENT:
            raise RuntimeError("Unable to handle autograd's threading in combination with fork")

    monkeypatch.setattr(backends_processes, "_take_gradient", gradient)
    said: list[str] = []
    workers = Processes(BackendSettings(jobs=2), said.append)
    workers.start(Training(pids))
    assert workers.score([1, 2, 3, 4], False) == [PARENT] * 4
    assert workers.workers() == 1
    (line,) = said
    assert "cannot train" in line
    assert "ray" in line
    scoring = Processes(BackendSettings(jobs=2), said.append)  # to score takes no gradient
    scoring.start(Scoring(pids))
    assert len(set(scoring.score(PLANS, False))) == 2
    scoring.close()
    assert len(said) == 1
