"""The trials of trainings that learn widths: found and not yet written, or recorded by the run before."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from narrower.errors import DivergedError, RunError
from narrower.plan.plan import Plan, plan_to_dict
from narrower.preparation.learned_shapes import Shape
from narrower.preparation.learned_way import Proposal
from narrower.searching.front import Front
from narrower.searching.objective import first_broken
from narrower.searching.space_record import SPACE_FACT
from narrower.searching.tally import Tally
from narrower.store.trial import Trial
from narrower.store.trials import TrialRow, TrialStore
from narrower.study.problem import Problem
from narrower.tasks.task import leading

Row = tuple[
    int, Mapping[str, float], Any
]  # the number within its training, metrics, and the plan in TOML form


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


class LearnedTrials:
    """Trials of a training: those that were found and not yet written, and those that a run has already."""

    def __init__(self, problem: Problem, store: TrialStore) -> None:
        self._problem, self._store = problem, store
        self._recorded = list(store.trials())
        self._tables: list[Any] = _recorded_plans(store)[: len(self._recorded)]
        self._rows: list[TrialRow] = []
        self._started = time.monotonic()
        self._before = self._started
        self.tally = Tally()

    def add(self, member: Proposal, shape: Shape | None = None) -> None:
        """Take in a network that was found, or found again after a kill; of a model of other widths."""
        self.take(self.row(member, shape), 0 if shape is None else shape.first)

    def row(self, member: Proposal, shape: Shape | None = None) -> Row:
        """What is recorded of a network."""
        cost, plan = self._problem.cost, member.plan
        if shape is not None:
            cost = replace(cost, network=shape.subject.program.network)
            plan = shape.plan_of(member)
        metrics = {
            **cost.of(member.plan),
            leading(self._problem.data.task).name: member.value,
            "ebops": member.ebops,
        }
        return member.number, metrics, plan_to_dict(plan)

    def take(self, row: Row, first: int) -> None:
        """Take in what is recorded of a network; ``first`` were found before those of its training."""
        number, metrics, table = first + row[0], row[1], row[2]
        if number < len(self._recorded):
            self._compare(self._recorded[number], metrics, table)
            return
        assert number == len(self._recorded) + len(self._rows)
        now = time.monotonic()
        values = tuple(metrics.get(name) for name in self._store.metrics)
        share, self._before = now - self._before, now
        self._rows.append((number, number, "complete", None, share, now - self._started, values))
        self._tables.append(table)

    def _compare(self, trial: Trial, metrics: Mapping[str, float], table: object) -> None:
        self.tally.replayed += 1
        same = all(
            trial.metrics.get(name) == value for name, value in metrics.items() if name in self._store.metrics
        )
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

    def __len__(self) -> int:
        return len(self._recorded) + len(self._rows)

    def metrics(self, number: int) -> Mapping[str, float]:
        """What was recorded of a trial."""
        return self._recorded[number].metrics

    def outcome(self, members: Mapping[int, Plan]) -> LearnedOutcome:
        """The members of the front that the constraints admit."""
        front, plans = Front(self._problem.objectives.count), {}
        for number, plan in members.items():
            metrics = self._recorded[number].metrics
            if first_broken(self._problem.constraints, metrics) is None:
                losses = self._problem.objectives.losses(metrics)
                front.add(np.array([losses]), np.array([number]))
                plans[number] = plan
        self.tally.trials = len(self._recorded)
        return LearnedOutcome(front, self.tally, plans)


def _recorded_plans(store: TrialStore) -> list[Any]:
    """The plans of the trials so far, in the TOML form."""
    if store.count() == 0:
        return []
    slots = store.facts().get(SPACE_FACT)
    if not isinstance(slots, list) or len(slots) != 1 or not isinstance(slots[0], list):
        raise RunError(f"{store.path}: does not say what its plans are; it is damaged")
    return slots[0]
