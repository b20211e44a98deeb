"""One sampler with one seed at the problem that all samplers share, as a search would run it."""

import tempfile
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from narrower.searching.costs import SpaceCosts
from narrower.searching.known import Known
from narrower.searching.loop import Budget, Evaluate, Loop
from narrower.searching.objective import Constraint, Objectives
from narrower.searching.samplers.build import build_sampler
from narrower.searching.samplers.sampler import Losses, Sampler
from narrower.searching.space import Options, Space
from narrower.store.trials import TrialStore


@dataclass(frozen=True)
class Contest:
    """What every sampler is given; ``batch`` as in the settings of a search."""

    space: Space
    costs: SpaceCosts
    objectives: Objectives
    constraints: tuple[Constraint, ...]
    trials: int
    batch: int | None = None
    first: tuple[Options, ...] = ()  # plans that the guided sampler begins with


@dataclass(frozen=True, slots=True)
class Trace:
    """What one search did.

    ``plans`` are the plans that it tried, by number, in order. For each of them ``repeats`` counts the
    proposals until then that had been proposed before, and ``sampler_seconds`` is the sampler's own time
    until then, in seconds of processor time. ``drawn`` counts the plans that were drawn at random because
    the sampler only repeated itself, ``not_admitted`` the different proposals that constraints cut.
    """

    sampler: str
    seed: int
    plans: tuple[int, ...]
    repeats: tuple[int, ...]
    sampler_seconds: tuple[float, ...]
    drawn: int
    not_admitted: int
    failed: int


def search_once(contest: Contest, sampler: str, seed: int, score: Evaluate) -> Trace:
    """Run one search from its seed; ``score`` may remember what it was asked before.

    Raises:
        KeyboardInterrupt: the search was interrupted.
    """
    watched = Watched(
        build_sampler(
            sampler,
            contest.space,
            seed=seed,
            wanted=contest.trials,
            known=Known(contest.costs, contest.objectives, contest.constraints),
            first=contest.first,
        ),
        contest.space,
    )
    with (
        tempfile.TemporaryDirectory() as directory,
        TrialStore.create(Path(directory) / "trials.db", [], {}) as store,
    ):
        loop = Loop(
            contest.space,
            contest.costs,
            watched,
            score,
            contest.objectives,
            contest.constraints,
            store,
            seed=seed,
        )
        loop.run(Budget(contest.trials, batch=contest.batch), lambda _trials, _front: None)
        plans = tuple(trial.plan_index for trial in store.trials())
    if loop.tally.stopped == "interrupted":
        raise KeyboardInterrupt
    repeats, seconds = watched.at(plans)
    return Trace(
        sampler,
        seed,
        plans,
        repeats,
        seconds,
        loop.tally.drawn,
        sum(loop.tally.cut.values()),
        loop.tally.failed,
    )


class Watched:
    """A sampler, with a record of what it proposed and how long it took."""

    def __init__(self, sampler: Sampler, space: Space) -> None:
        self.never_repeats = sampler.never_repeats
        self.covers_space = sampler.covers_space
        self.default_batch = sampler.default_batch
        self.note = sampler.note
        self._sampler, self._space = sampler, space
        self._seconds = 0.0
        self._untold: deque[Options] = deque()
        self._events: list[tuple[int, float]] = []  # number of a plan, the sampler's seconds until then

    def ask(self, count: int) -> Sequence[Options]:
        started = time.process_time()
        proposals = self._sampler.ask(count)
        self._seconds += time.process_time() - started
        self._events += [(self._space.index_of(options), self._seconds) for options in proposals]
        if not self.never_repeats:
            self._untold.extend(proposals)
        return proposals

    def tell(self, options: Options, losses: Losses | None) -> None:
        if self._untold and self._untold[0] == options:
            self._untold.popleft()
        else:  # drawn in the sampler's place
            self._events.append((self._space.index_of(options), self._seconds))
        started = time.process_time()
        self._sampler.tell(options, losses)
        self._seconds += time.process_time() - started

    def at(self, plans: Sequence[int]) -> tuple[tuple[int, ...], tuple[float, ...]]:
        """Proposals that repeated earlier ones, and the sampler's seconds, when each plan was proposed."""
        tried, seen = set(plans), set[int]()
        order, repeats, seconds = [], [], []
        repeated = 0
        for plan, until_then in self._events:
            if plan in seen:
                repeated += 1
                continue
            seen.add(plan)
            if plan in tried:
                order.append(plan)
                repeats.append(repeated)
                seconds.append(until_then)
        assert order == list(plans)
        return tuple(repeats), tuple(seconds)
