"""A search whose plans one training proposes: its members become trials as they are found."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from narrower.errors import DivergedError, RunError, StopSearch
from narrower.plan.plan import Plan, plan_to_dict
from narrower.preparation.learned import Learned
from narrower.preparation.learned_way import Proposal
from narrower.preparation.preparation import Preparation
from narrower.preparation.settings import LearnedSettings
from narrower.searching.front import Front
from narrower.searching.loop import Tally
from narrower.searching.objective import first_broken
from narrower.searching.space_record import SPACE_FACT
from narrower.store.run_directory import RunDirectory
from narrower.store.trial import Trial
from narrower.store.trials import TrialRow, TrialStore
from narrower.study.problem import Problem
from narrower.study.tracked import ShowProgress
from narrower.tasks.task import leading

STATE = "state"  # directory of a run where a training lies that has not ended


@dataclass
class LearnedOutcome:
    """What the training found: the front with its plans by number, and how it went."""

    front: Front
    tally: Tally
    plans: Mapping[int, Plan]
    cost_ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def plan(self, trial: Trial) -> Plan:
        """The plan of a trial on the front."""
        return self.plans[trial.number]


def learned_search(
    problem: Problem,
    run: RunDirectory,
    store: TrialStore,
    learned: Preparation,
    show_progress: ShowProgress,
) -> LearnedOutcome:
    """Learn, or go on with a training that was killed, and record each network that it proposed as a trial.

    Ctrl-C ends the training with what there is; it can go on.

    Raises:
        RunError: the training does not repeat what the run recorded.
    """
    book = _TrialBook(problem, store)
    assert isinstance(problem.preparation, LearnedSettings)
    assert isinstance(learned, Learned)
    started = time.monotonic()
    try:
        with show_progress(problem.preparation.epochs) as progress:
            learned.learn(
                problem.part,
                book.add,
                lambda epoch, members: progress(epoch + 1, members),
                run.path / STATE,
                book.write,
            )
        book.tally.exhausted = True
    except (KeyboardInterrupt, StopSearch):
        book.tally.stopped = "interrupted"
    book.write()
    book.tally.evaluation_seconds = time.monotonic() - started
    return book.outcome(learned)


class _TrialBook:
    """Trials of a training: those that were found and not yet written, and those that a run has already."""

    def __init__(self, problem: Problem, store: TrialStore) -> None:
        self._problem, self._store = problem, store
        self._recorded = list(store.trials())
        self._tables: list[Any] = _recorded_plans(store)[: len(self._recorded)]
        self._rows: list[TrialRow] = []
        self._started = time.monotonic()
        self._before = self._started
        self.tally = Tally()

    def add(self, member: Proposal) -> None:
        """Take in a network that was found, or found again after a kill."""
        metrics = {
            **self._problem.cost.of(member.plan),
            leading(self._problem.data.task).name: member.value,
            "ebops": member.ebops,
        }
        table = plan_to_dict(member.plan)
        if member.number < len(self._recorded):
            self._compare(self._recorded[member.number], metrics, table)
            return
        assert member.number == len(self._recorded) + len(self._rows)
        now = time.monotonic()
        values = tuple(metrics.get(name) for name in self._store.metrics)
        share, self._before = now - self._before, now
        self._rows.append(
            (member.number, member.number, "complete", None, share, now - self._started, values)
        )
        self._tables.append(table)

    def _compare(self, trial: Trial, metrics: Mapping[str, float], table: object) -> None:
        self.tally.replayed += 1
        same = all(trial.metrics.get(name) == value for name, value in metrics.items())
        if not same or self._tables[trial.number] != table:
            raise DivergedError(
                f"trial {trial.number} of the run is another network than the training now finds"
            )

    def write(self) -> None:
        """Bring the trials to disk, their plans first."""
        if not self._rows:
            return
        self._store.set_fact(SPACE_FACT, [self._tables])
        self._store.append(self._rows)
        self._store.commit()
        self._recorded += list(self._store.trials([row[0] for row in self._rows]))
        self._rows = []

    def outcome(self, learned: Learned) -> LearnedOutcome:
        """The members of the front that the constraints admit."""
        front, plans = Front(self._problem.objectives.count), {}
        for number, plan in learned.members.items():
            metrics = self._recorded[number].metrics
            if first_broken(self._problem.constraints, metrics) is None:
                losses = self._problem.objectives.losses(metrics)
                front.add(np.array([losses]), np.array([number]))
                plans[number] = plan
        self.tally.trials = len(self._recorded)
        return LearnedOutcome(front, self.tally, plans)


def _recorded_plans(store: TrialStore) -> list[Any]:
    """The plans of the trials so far, in the TOML form."""
    slots = store.facts().get(SPACE_FACT)
    if not isinstance(slots, list) or len(slots) != 1 or not isinstance(slots[0], list):
        raise RunError(f"{store.path}: does not say what its plans are; it is damaged")
    return slots[0]
