"""Searches of a comparison and their workers: who is asked what, in which order answers come back."""

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from narrower.errors import NarrowerError, RunError, SettingsError
from narrower.plan.plan import Plan
from narrower.searching.objective import Constraint
from narrower.study.comparison import workers
from narrower.study.comparison.contest import Contest, Trace, search_once
from narrower.tasks.quality import Quality, failed
from tests.searching.test_guided import BOTH, Prices, accuracy, bitops, space

SPACE = space(2, 3)
BY_PLAN = {SPACE.plan(options): options for options in SPACE.enumerate()}


def contest(trials: int, *bounds: Constraint, batch: int | None = None) -> Contest:
    costs: Any = Prices(bitops)
    return Contest(SPACE, costs, BOTH, bounds, trials, batch)


def score(plans: Sequence[Plan]) -> list[Quality]:
    return [Quality(100, {"accuracy": accuracy(BY_PLAN[plan])}) for plan in plans]


def test_a_search_that_tries_everything_leaves_a_whole_trace() -> None:
    trace = search_once(contest(9), "brute_force", 4, score)
    assert (trace.sampler, trace.seed) == ("brute_force", 4)
    assert sorted(trace.plans) == list(range(9))
    assert trace.repeats == (0,) * 9
    assert len(trace.sampler_seconds) == 9
    assert (trace.drawn, trace.not_admitted, trace.failed) == (0, 0, 0)


def test_a_trace_counts_what_bounds_cut_and_what_failed() -> None:
    def some(plans: Sequence[Plan]) -> list[Quality]:
        return [failed("no number", 100) if BY_PLAN[plan] == (0, 0) else score([plan])[0] for plan in plans]

    trace = search_once(contest(9, Constraint("bitops", None, 3.0)), "brute_force", 0, some)
    kept = [options for options in SPACE.enumerate() if bitops(options)["bitops"] <= 3]
    assert sorted(trace.plans) == sorted(SPACE.index_of(options) for options in kept)
    assert (trace.not_admitted, trace.failed) == (9 - len(kept), 1)


def test_a_search_ends_after_its_trials_and_follows_from_its_seed() -> None:
    first, again, other = (search_once(contest(5), "random", seed, score).plans for seed in (1, 1, 2))
    assert len(first) == len(other) == 5
    assert first == again
    assert first != other
    asked: list[int] = []

    def counted(plans: Sequence[Plan]) -> list[Quality]:
        asked.append(len(plans))
        return score(plans)

    search_once(contest(6, batch=1), "random", 1, counted)
    assert asked == [1] * 6


def test_an_interrupted_search_is_no_trace() -> None:
    def interrupted(_plans: Sequence[Plan]) -> list[Quality]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search_once(contest(3), "random", 0, interrupted)


def trace_of(sampler: str, seed: int) -> Trace:
    return Trace(sampler, seed, (seed,), (0,), (0.0,), 0, 0, 0)


class Threads:
    """Workers in threads of this process; the first one ends its searches last."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fails_at: int | None = None) -> None:
        self.begun = 0
        self._fails_at = fails_at
        self._slow = threading.Event()
        monkeypatch.setattr(workers, "_worker", self._worker)

    @contextmanager
    def _worker(self, _contest: Contest) -> Iterator[tuple[Any, Any]]:
        here, there = multiprocessing.Pipe()
        is_slow, self.begun = self.begun == 0, self.begun + 1
        thread = threading.Thread(target=self._work, args=(there, is_slow), daemon=True)
        thread.start()
        yield here, SimpleNamespace(join=lambda: None, exitcode=-9)
        here.close()

    def _work(self, there: Any, is_slow: bool) -> None:
        while True:
            try:
                sampler, seed = there.recv()
            except (EOFError, OSError):
                return
            there.send([PLANS[seed]])
            (answer,) = there.recv()
            assert answer.metrics["accuracy"] == accuracy(BY_PLAN[PLANS[seed]])
            if is_slow and not self._slow.wait(timeout=5):
                raise AssertionError("the other worker did not do the rest")
            if seed == self._fails_at:
                there.close()
                return
            there.send(NarrowerError("refused") if sampler == "bad" else trace_of(sampler, seed))
            if not is_slow and seed == 3:
                self._slow.set()


PLANS = list(BY_PLAN)
ENTRIES = [("random", seed) for seed in range(4)]


def test_traces_come_in_the_order_of_their_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    threads, done = Threads(monkeypatch), list[int]()
    found = workers.run_entries(contest(1), ENTRIES, score, jobs=2, report=done.append)
    assert found == [trace_of(*entry) for entry in ENTRIES]
    assert done == [1, 2, 3, 4]
    assert threads.begun == 2
    threads = Threads(monkeypatch)
    threads._slow.set()
    workers.run_entries(contest(1), ENTRIES[:2], score, jobs=8, report=done.append)
    assert threads.begun == 2  # no more than there are searches


def test_a_refusal_and_a_worker_that_ended_are_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    Threads(monkeypatch)._slow.set()
    with pytest.raises(NarrowerError, match="refused"):
        workers.run_entries(contest(1), [("bad", 0)], score, jobs=1, report=lambda _done: None)
    Threads(monkeypatch, fails_at=0)._slow.set()
    with pytest.raises(RunError, match=r"ended early \(exit code -9"):
        workers.run_entries(contest(1), ENTRIES, score, jobs=1, report=lambda _done: None)


class Line:
    """A connection whose other side was told before what it says."""

    def __init__(self, *said: Any) -> None:
        self._said, self.heard = deque(said), list[Any]()

    def recv(self) -> Any:
        if not self._said:
            raise EOFError
        answer = self._said.popleft()
        return answer(self.heard[-1]) if callable(answer) else answer

    def send(self, what: Any) -> None:
        self.heard.append(what)


def test_a_worker_asks_for_qualities_until_the_other_side_hangs_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers.signal, "signal", lambda *_: None)
    line: Any = Line(("brute_force", 0), *[score] * 4, ("random", 3), *[score] * 4)
    workers._work(line, contest(4, batch=1))
    assert [len(plans) for plans in line.heard if isinstance(plans, list)] == [1] * 8
    traces = [answer for answer in line.heard if isinstance(answer, Trace)]
    expected = [
        search_once(contest(4, batch=1), *entry, score) for entry in (("brute_force", 0), ("random", 3))
    ]
    assert [trace.plans for trace in traces] == [trace.plans for trace in expected]


def test_a_worker_sends_what_went_wrong_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(_contest: Contest, sampler: str, *_: Any) -> Trace:
        raise SettingsError("too few trials") if sampler == "first" else ZeroDivisionError("ours")

    monkeypatch.setattr(workers.signal, "signal", lambda *_: None)
    monkeypatch.setattr(workers, "search_once", wrong)
    line: Any = Line(("first", 0), ("second", 0))
    workers._work(line, contest(4))
    refused, fault = line.heard
    assert (type(refused), str(refused)) == (NarrowerError, "too few trials")
    assert type(fault) is RuntimeError
    assert "ZeroDivisionError: ours" in str(fault)


def test_each_worker_has_one_thread_and_this_process_keeps_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    first, *others = workers.THREAD_SETTINGS
    monkeypatch.setenv(first, "7")
    for name in others:
        monkeypatch.delenv(name, raising=False)
    with workers._one_thread():
        assert {os.environ[name] for name in workers.THREAD_SETTINGS} == {"1"}
    assert os.environ[first] == "7"
    assert not set(others) & set(os.environ)
