"""A run while it is searched: its trials so far, the front of them, and the last lines of its log."""

import random
import time
from collections import deque
from dataclasses import dataclass, field
from os import SEEK_END

import numpy as np

from narrower.errors import SettingsError
from narrower.report.small_picture import Point
from narrower.searching.front import Front
from narrower.searching.objective import (
    Constraint,
    Objective,
    Objectives,
    first_broken,
    is_quality,
    listed_metric,
)
from narrower.searching.recorded_space import RecordedSpace, recorded_space
from narrower.searching.space_record import PlanTables
from narrower.settings.convert_objectives import constraints, objectives
from narrower.settings.load import load_settings
from narrower.store.run_directory import RunDirectory
from narrower.store.trial import Trial
from narrower.store.trials import TrialStore

MOST_OTHERS = 1_000  # trials that are drawn beside the front
LOG_LINES, LOG_BYTES = 12, 20_000


@dataclass(frozen=True, slots=True)
class Look:
    """What is known at one moment; ``members`` are trials with plans, best in the first objective first.

    ``idle_seconds``: how long ago something was last written; ``has_ended``: the log says so.
    """

    has_ended: bool
    idle_seconds: float
    trials: int = 0
    failed: int = 0
    seconds: float = 0.0
    objectives: tuple[str, ...] = ()
    cost: str = ""
    quality: str = ""
    members: tuple[tuple[Trial, PlanTables], ...] = ()
    others: tuple[Point, ...] = ()
    log: tuple[str, ...] = ()


@dataclass(slots=True)
class LiveRun:
    """Reads what has been added to a run since it was last looked at."""

    run: RunDirectory
    _asked: tuple[Objectives, tuple[Constraint, ...]] | None = None
    _front: Front = field(default_factory=lambda: Front(1))
    _kept: dict[int, Trial] = field(default_factory=dict)
    _others: list[Point] = field(default_factory=list)
    _trials: int = 0
    _failed: int = 0
    _seconds: float = 0.0
    _chance: random.Random = field(default_factory=lambda: random.Random(0))

    def look(self) -> Look:
        """The run as it is now.

        Raises:
            RunError: its trials cannot be read.
        """
        log, idle = _last_lines(self.run), _idle_seconds(self.run)
        has_ended = bool(log) and log[-1].partition(" ")[2].startswith("ended")
        if not self.run.trials.is_file():
            return Look(has_ended, idle, log=log)
        with TrialStore.open(self.run.trials, read_only=True) as store:
            wanted, bounds = self._asked = self._asked or _asked_for(self.run, store)
            names = [o.metric for o in wanted.each]
            cost = next((name for name in names if not is_quality(name)), store.metrics[-1])
            quality = next((name for name in names if is_quality(name)), store.metrics[0])
            if self._trials == 0:
                self._front = Front(wanted.count)
            self._take(store, wanted, bounds, (cost, quality))
            space = recorded_space(store.facts(), self.run.trials)
        return Look(
            has_ended,
            idle,
            self._trials,
            self._failed,
            self._seconds,
            tuple(names),
            cost,
            quality,
            self._members(space, wanted),
            tuple(self._others),
            log,
        )

    def _take(
        self, store: TrialStore, wanted: Objectives, bounds: tuple[Constraint, ...], axes: tuple[str, str]
    ) -> None:
        found: dict[int, Trial] = {}
        for trial in store.trials(first=self._trials):
            self._trials, self._seconds = trial.number + 1, trial.finished
            self._failed += trial.state == "failed"
            has_all = all(o.metric in trial.metrics for o in wanted.each)
            if trial.state != "complete" or not has_all or first_broken(bounds, trial.metrics):
                continue
            found[trial.number] = trial
            self._draw(trial, axes)
        rows = [wanted.losses(trial.metrics) for trial in found.values()]
        losses = np.array(rows, dtype=np.float64).reshape(len(rows), wanted.count)
        self._front.add(losses, np.array(list(found), dtype=np.int64))
        everything = self._kept | found
        self._kept = {number: everything[number] for number in self._front.numbers.tolist()}

    def _draw(self, trial: Trial, axes: tuple[str, str]) -> None:
        """Keep the newest trial for the picture; where there are many, it takes the place of any other."""
        cost, quality = (trial.metrics.get(axis) for axis in axes)
        if cost is None or quality is None:
            return
        point = Point(cost, quality, f"trial {trial.number:,}", is_on_front=False)
        if len(self._others) < MOST_OTHERS:
            self._others.append(point)
        else:
            self._others[self._chance.randrange(MOST_OTHERS)] = point

    def _members(self, space: RecordedSpace, wanted: Objectives) -> tuple[tuple[Trial, PlanTables], ...]:
        ordered = sorted(self._kept.values(), key=lambda trial: wanted.losses(trial.metrics))
        return tuple((trial, space.plan(trial.plan_index)) for trial in ordered)


def _asked_for(run: RunDirectory, store: TrialStore) -> tuple[Objectives, tuple[Constraint, ...]]:
    """What the run's settings ask for; a search from Python has none: its leading metric and bitops."""
    try:
        settings = load_settings(run.settings).settings
        return objectives(settings), constraints(settings)
    except SettingsError:
        listed = [listed_metric(name) for name in (store.metrics[0], "bitops") if name in store.metrics]
        return Objectives(tuple(Objective(m.name, m.direction) for m in listed if m is not None)), ()


def _idle_seconds(run: RunDirectory) -> float:
    """How long ago something was last written."""
    database = run.trials
    files = (run.log, database, database.with_name(f"{database.name}-wal"))
    changed = [file.stat().st_mtime for file in files if file.is_file()]
    return max(0.0, time.time() - max(changed)) if changed else 0.0


def _last_lines(run: RunDirectory) -> tuple[str, ...]:
    if not run.log.is_file():
        return ()
    with open(run.log, "rb") as file:
        file.seek(0, SEEK_END)
        file.seek(max(0, file.tell() - LOG_BYTES))
        lines = file.read().decode("utf-8", errors="replace").splitlines()
    return tuple(deque(lines, LOG_LINES))
