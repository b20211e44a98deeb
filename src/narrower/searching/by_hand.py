"""A search whose caller scores the plans: it is asked for plans, and told what they reached, in any order."""

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from narrower.errors import SettingsError
from narrower.plan.plan import Plan
from narrower.searching.costs import SpaceCosts, broken
from narrower.searching.front import Front
from narrower.searching.objective import Constraint, Objectives, first_broken
from narrower.searching.samplers.sampler import Losses, Sampler
from narrower.searching.space import Options, Space
from narrower.searching.tally import Tally
from narrower.store.trial import State, Trial
from narrower.store.trials import TrialStore

PATIENCE = 100  # times in a row that a sampler is asked without one new plan


@dataclass(frozen=True, slots=True)
class AskedPlan:
    """A plan that was proposed: its number among the proposals, and what it costs."""

    number: int
    plan: Plan
    costs: Mapping[str, float]


@dataclass(slots=True)
class _Proposal:
    """A plan that waits to be told, or that is told of already."""

    options: Options
    index: int
    asked: float = 0.0
    is_told: bool = False
    losses: Losses | None = None


@dataclass(slots=True)
class _Book:
    """What was proposed, what waits, and what the sampler must still be told of, in its order."""

    seen: dict[int, Losses | None] = field(default_factory=dict)
    waiting: dict[int, _Proposal] = field(default_factory=dict)
    untold: deque[_Proposal] = field(default_factory=deque)


class HandLoop:
    """Trials are numbered as they are told; the sampler hears of them in the order of its proposals."""

    def __init__(
        self,
        space: Space,
        costs: SpaceCosts,
        sampler: Sampler,
        objectives: Objectives,
        constraints: Sequence[Constraint],
        store: TrialStore,
    ) -> None:
        self._space, self._costs, self._sampler = space, costs, sampler
        self._objectives, self._constraints, self._store = objectives, tuple(constraints), store
        self._book, self._proposed = _Book(), 0
        self._started = time.monotonic()
        self.front, self.tally = Front(objectives.count), Tally(stopped="n_trials")

    @property
    def cost_ranges(self) -> dict[str, tuple[float, float]]:
        """Smallest and largest value of every cost over the whole space."""
        return self._costs.ranges()

    def plan(self, trial: Trial) -> Plan:
        """The plan of a trial."""
        return self._space.plan(self._space.options_at(trial.plan_index))

    def ask(self, count: int) -> list[AskedPlan]:
        """Up to ``count`` plans that were not proposed before and whose costs are admitted.

        Fewer where the sampler has no more; none at its end.
        """
        found: list[AskedPlan] = []
        idle = 0
        while len(found) < count and idle < PATIENCE:
            proposals = self._sampler.ask(count - len(found))
            if not proposals:
                self.tally.exhausted = self._sampler.covers_space
                break
            new = self._new(proposals)
            idle = 0 if new else idle + 1
            found += new
        return found

    def _new(self, proposals: Sequence[Options]) -> list[AskedPlan]:
        costs = self._costs.of(proposals)
        reasons = broken(self._constraints, costs, len(proposals))
        found = []
        for position, options in enumerate(proposals):
            index = self._space.index_of(options)
            proposal = _Proposal(options, index, time.monotonic())
            self._book.untold.append(proposal)
            if (reason := reasons[position]) is not None:
                self.tally.cut[reason] += 1
                proposal.is_told = True
            elif index in self._book.seen or any(p.index == index for p in self._book.waiting.values()):
                self.tally.repeated += 1
                proposal.is_told, proposal.losses = True, self._book.seen.get(index)
            else:
                values = {name: float(column[position]) for name, column in costs.items()}
                asked = AskedPlan(self._proposed, self._space.plan(options), values)
                self._book.waiting[self._proposed] = proposal
                self._proposed += 1
                found.append(asked)
        self._tell_sampler()
        return found

    def tell(self, asked: AskedPlan, metrics: Mapping[str, float] | None, reason: str | None = None) -> int:
        """Record what a plan reached, or why it failed, and return the number of its trial.

        Raises:
            SettingsError: it was not asked for, or was told already.
        """
        proposal = self._book.waiting.pop(asked.number, None)
        if proposal is None:
            raise SettingsError(f"plan {asked.number}: was told already, or another study proposed it")
        everything = {**asked.costs, **(metrics or {})}
        now, number = time.monotonic(), self.tally.trials
        state: State = "complete" if metrics is not None else "failed"
        values = tuple(everything.get(name) for name in self._store.metrics)
        row = (number, proposal.index, state, reason, now - proposal.asked, now - self._started, values)
        self._store.append([row])
        self.tally.trials += 1
        self.tally.failed += state == "failed"
        if state == "failed":
            self.tally.first_failure = self.tally.first_failure or reason
        elif first_broken(self._constraints, everything) is None:
            proposal.losses = self._objectives.losses(everything)
            self.front.add(np.array([proposal.losses]), np.array([number]))
        proposal.is_told = True
        self._book.seen[proposal.index] = proposal.losses
        self._tell_sampler()
        return number

    def _tell_sampler(self) -> None:
        while self._book.untold and self._book.untold[0].is_told:
            proposal = self._book.untold.popleft()
            if not self._sampler.never_repeats:
                self._sampler.tell(proposal.options, proposal.losses)
