"""Tell trackers and callbacks of a search: its settings, its trials as they are recorded, its front."""

import tomllib
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from math import isfinite
from typing import Any

from narrower.errors import NarrowerError, StopSearch, TrackerError
from narrower.own_code.failures import described
from narrower.report.record import Member, RunRecord
from narrower.searching.loop import Progress
from narrower.searching.recorded_space import RecordedSpace, recorded_space
from narrower.store.run_directory import RunDirectory
from narrower.store.trackers.tracker import (
    TrackedEnd,
    TrackedMember,
    TrackedSearch,
    TrackedTrial,
    Tracker,
    Value,
)
from narrower.store.trial import Trial
from narrower.store.trials import TrialStore

IDENTITY_FACT, TOLD_FACT = "tracked as", "trials told"
AT_A_TIME = 1000  # trials that are told at a time when a search goes on

Callback = Callable[[TrackedTrial], object]
Say = Callable[[str], None]
ShowProgress = Callable[[int], AbstractContextManager[Progress]]


@dataclass(frozen=True)
class Followers:
    """Who is told of a search: trackers by name, and functions that are given each trial."""

    trackers: Mapping[str, Tracker] = field(default_factory=dict)
    callbacks: Sequence[Callback] = ()


NOBODY = Followers()


class Telling:
    """Told by the store of each group of trials, it tells the followers; a tracker that fails is left out."""

    def __init__(self, followers: Followers, run: RunDirectory, store: TrialStore, say: Say) -> None:
        self._trackers, self._callbacks = dict(followers.trackers), followers.callbacks
        self._run, self._store, self._say = run, store, say
        self._space: RecordedSpace | None = None
        self._is_stopped = False

    def begin(self) -> None:
        """Begin with every tracker, and tell it of the trials that it does not know yet.

        Raises:
            TrackerError: one cannot begin; nothing was searched.
        """
        if self._trackers:
            search = self._described()
            for name, tracker in self._trackers.items():
                try:
                    first = tracker.begin(search)
                except NarrowerError:
                    raise
                except Exception as error:
                    raise TrackerError(f"the tracker {name!r} cannot begin: {described(error)}") from error
                self._catch_up(name, first)
        if self._trackers or self._callbacks:
            self._store.follow(self._tell)

    def watched(self, show_progress: ShowProgress) -> ShowProgress:
        """The same reports of progress, which end the search where a callback asked for that."""
        return lambda wanted: self._watching(show_progress(wanted))

    @contextmanager
    def _watching(self, progress: AbstractContextManager[Progress]) -> Iterator[Progress]:
        """It ends once trials are recorded, and not while they are."""
        with progress as report:

            def report_or_stop(done: int, front: int) -> None:
                report(done, front)
                if self._is_stopped:
                    raise StopSearch

            yield report_or_stop

    def end(self, record: RunRecord) -> None:
        """Tell the trackers how the search ended."""
        summary, run = record.summary, self._run
        figures = {
            "trials": float(summary.trials),
            "failed": float(summary.failed),
            "seconds": summary.seconds,
            "members": float(len(record.members)),
            "float32": record.float32_value,
        }
        members = [_member(member, record.metric.name) for member in record.members]
        files = tuple(file for file in (run.front, run.settings) if file.is_file())
        end = TrackedEnd(figures, members, files)
        for name in list(self._trackers):
            self._or_leave_out(name, lambda tracker: tracker.end(end))

    def _described(self) -> TrackedSearch:
        facts = self._store.facts()
        identity, told = facts.get(IDENTITY_FACT), facts.get(TOLD_FACT)
        if not isinstance(identity, str):
            identity = uuid.uuid4().hex
            self._store.set_fact(IDENTITY_FACT, identity)
        try:
            settings = flat(tomllib.loads(self._run.settings.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            settings = {}
        return TrackedSearch(
            self._run.path.resolve().name,
            identity,
            self._run.path,
            {"model": str(facts.get("model", "")), **settings},
            self._store.metrics,
            min(told, self._store.count()) if isinstance(told, int) else 0,
        )

    def _catch_up(self, name: str, first: int) -> None:
        earlier = self._store.trials(first=first)
        while some := list(islice(earlier, AT_A_TIME)):
            told = self._tracked(some)
            self._or_leave_out(name, lambda tracker, told=told: tracker.trials(told))  # type: ignore[misc]

    def _tell(self, trials: Sequence[Trial]) -> None:
        told = self._tracked(trials)
        for name in list(self._trackers):
            self._or_leave_out(name, lambda tracker: tracker.trials(told))
        if self._trackers:
            self._store.set_fact(TOLD_FACT, trials[-1].number + 1)
        for trial in told:
            for callback in self._callbacks:
                try:
                    callback(trial)
                except StopSearch:
                    self._is_stopped = True

    def _or_leave_out(self, name: str, tell: Callable[[Tracker], None]) -> None:
        tracker = self._trackers.get(name)
        if tracker is None:
            return
        try:
            tell(tracker)
        except Exception as error:  # a search of hours does not end because a server does not answer
            del self._trackers[name]
            self._say(f"the tracker {name!r} failed, and is told no more: {described(error)}")

    def _tracked(self, trials: Sequence[Trial]) -> list[TrackedTrial]:
        if self._space is None or max(trial.plan_index for trial in trials) >= self._space.size:
            self._space = recorded_space(self._store.facts(), self._store.path)
        space = self._space
        return [
            TrackedTrial(
                trial.number,
                trial.state,
                trial.reason,
                trial.metrics,
                _flat_plan(space.plan(trial.plan_index)),
                trial.seconds,
                trial.finished,
            )
            for trial in trials
        ]


def flat(table: Mapping[str, Any], above: str = "") -> dict[str, Value]:
    """Settings with dotted keys; what is a list becomes text."""
    found: dict[str, Value] = {}
    for key, value in table.items():
        name = f"{above}{key}"
        if isinstance(value, Mapping):
            found |= flat(value, f"{name}.")
        else:
            found[name] = value if isinstance(value, str | int | float | bool) else str(value)
    return found


def _flat_plan(plan: Mapping[str, Mapping[str, str | float]]) -> dict[str, str | float]:
    return {f"{layer}.{aspect}": value for layer, table in plan.items() for aspect, value in table.items()}


def _member(member: Member, leading: str) -> TrackedMember:
    test = {} if member.test_value is None else {f"test_{leading}": member.test_value}
    metrics = {name: value for name, value in (member.metrics | test).items() if isfinite(value)}
    return TrackedMember(member.number, metrics, _flat_plan(member.plan))
