"""The loop of a search: ask, cut, score, record, tell."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np

from narrower.errors import StopSearch
from narrower.plan.plan import Plan
from narrower.searching.costs import SpaceCosts, broken
from narrower.searching.front import Front
from narrower.searching.left_over import ENUMERABLE, PATIENCE, LeftOver
from narrower.searching.objective import Constraint, Objectives, first_broken
from narrower.searching.replay import Replay
from narrower.searching.samplers.sampler import Losses, Sampler
from narrower.searching.space import Options, Space
from narrower.searching.tally import Tally
from narrower.searching.together import ALONE, List, Round, Together, costs_of
from narrower.store.trial import State, Trial
from narrower.store.trials import TrialRow, TrialStore
from narrower.tasks.quality import CanMatter, Quality

CHUNK_SECONDS = 0.4  # plans are scored in chunks of about this time, so that little is lost when killed
FIRST_CHUNK = 1  # it grows fourfold while it is fast: the first plan of a large network is seen soon

Evaluate = Callable[[Sequence[Plan]], list[Quality]]
EvaluateEarly = Callable[[Sequence[Plan], CanMatter], list[Quality]]
Progress = Callable[[int, int], None]  # trials that are done, size of the front


@dataclass(frozen=True, slots=True)
class Budget:
    """When a search ends: after so many distinct plans, or so many seconds."""

    trials: int
    timeout_seconds: float | None = None
    batch: int | None = None  # proposals asked for at a time; None: what suits the sampler


class Loop:
    """One search. Its trials follow from the space, the sampler's seed and the scores alone."""

    def __init__(  # noqa: PLR0913 - what a search is made of
        self,
        space: Space,
        costs: SpaceCosts,
        sampler: Sampler,
        score: Evaluate,
        objectives: Objectives,
        constraints: Sequence[Constraint],
        store: TrialStore,
        *,
        seed: int,
        evaluate_early: EvaluateEarly | None = None,
        together: Together = ALONE,
    ) -> None:
        self._space, self._costs, self._sampler, self._score = space, costs, sampler, score
        self._objectives, self._constraints, self._store = objectives, tuple(constraints), store
        self._evaluate_early = evaluate_early
        self._beaten_by = np.empty((0, objectives.count))  # the front when the round began
        self._left_over = LeftOver(space, costs, self._constraints, seed)
        self._replay = Replay(store, objectives)
        self._seen: dict[int, Losses | None] = {}
        self._cut: set[int] = set()
        self._chunk = FIRST_CHUNK
        self._together = together
        self._started = time.monotonic()
        self.front = Front(objectives.count)
        self.tally = Tally()

    @property
    def cost_ranges(self) -> dict[str, tuple[float, float]]:
        """Smallest and largest value of every cost over the whole space."""
        return self._costs.ranges()

    def plan(self, trial: Trial) -> Plan:
        """The plan of a trial."""
        return self._space.plan(self._space.options_at(trial.plan_index))

    def run(self, budget: Budget, progress: Progress) -> None:
        """Search until the budget is spent or nothing is left; Ctrl-C ends it with what there is."""
        batch = budget.batch or self._sampler.default_batch
        idle = 0
        try:
            while self.tally.trials < budget.trials:
                if self._is_late(budget):
                    self.tally.stopped = "timeout"
                    return
                rounds = self._asked(batch, budget)
                if not rounds:
                    self.tally.exhausted = self._sampler.covers_space
                    return
                before = self.tally.trials
                self._score_rounds(rounds, budget, progress)
                idle = 0 if self.tally.trials > before else idle + sum(len(r.proposals) for r in rounds)
                if idle >= PATIENCE and not self._sampler.never_repeats:
                    idle = 0
                    if not self._draw(budget, progress):
                        return
            self.tally.exhausted = self.tally.trials == self._space.size
            self.tally.stopped = "complete" if self.tally.exhausted else "n_trials"
        except KeyboardInterrupt:
            self.tally.stopped = "interrupted"
        except StopSearch:
            self.tally.stopped = "callback"
        finally:
            self.tally.note = self._sampler.note
            self._store.commit()

    def _is_late(self, budget: Budget) -> bool:
        limit = budget.timeout_seconds
        return limit is not None and time.monotonic() - self._started > limit

    def _asked(self, batch: int, budget: Budget) -> list[Round]:
        """A round of proposals; several where other processes score them and the sampler needs no answer."""
        most = self._together.lists if self._sampler.never_repeats else 1
        rounds: list[Round] = []
        left = budget.trials - self.tally.trials
        while left > 0 and len(rounds) < most and (proposals := self._sampler.ask(min(batch, left))):
            rounds.append(self._looked_at(proposals))
            left -= len(rounds[-1].fresh)
        return rounds

    def _looked_at(self, proposals: Sequence[Options]) -> Round:
        """Which proposals are new, and which are cut for their costs."""
        costs = self._costs.of(proposals)
        reasons = broken(self._constraints, costs, len(proposals))
        remembers = not self._sampler.never_repeats
        found = Round(proposals, [self._space.index_of(options) for options in proposals], costs, reasons)
        in_batch: set[int] = set()
        for position, index in enumerate(found.indices):
            reason = reasons[position]
            if reason is not None and index not in self._cut:
                self.tally.cut[reason] += 1
                if remembers:
                    self._cut.add(index)
            elif reason is not None or (remembers and (index in self._seen or index in in_batch)):
                self.tally.repeated += 1
            else:
                in_batch.add(index)
                found.fresh.append(position)
        return found

    def _score_rounds(self, rounds: Sequence[Round], budget: Budget, progress: Progress) -> None:
        """Score what is new among proposals and tell the sampler about all of them, in their order."""
        self._beaten_by = self.front.losses
        results: dict[int, Losses | None] = {}
        for chunk in self._chunks(rounds):
            if results and self._is_late(budget):
                break
            indices = [each.indices[position] for each, positions in chunk for position in positions]
            losses = self._trials(
                [each.proposals[position] for each, positions in chunk for position in positions],
                indices,
                costs_of(chunk),
                [len(positions) for _, positions in chunk],
            )
            results.update(zip(indices, losses, strict=True))
            progress(self.tally.trials, len(self.front))
        if self._sampler.never_repeats:
            return
        self._seen.update(results)
        for each in rounds:
            for index, options, reason in zip(each.indices, each.proposals, each.reasons, strict=True):
                self._sampler.tell(options, self._seen.get(index) if reason is None else None)

    def _chunks(self, rounds: Sequence[Round]) -> Iterator[list[List]]:
        """Lists of new plans that are scored at a time."""
        if self._together.is_fixed:
            yield from self._together.chunks(rounds, is_first=self.tally.trials == 0)
            return
        for each in rounds:
            start = 0
            while start < len(each.fresh):
                positions = each.fresh[start : start + self._chunk]
                start += len(positions)
                yield [(each, positions)]  # while it is scored, the length of the next one is found

    def _trials(
        self,
        assignments: Sequence[Options],
        indices: Sequence[int],
        costs: dict[str, list[float]],
        cuts: Sequence[int],
    ) -> list[Losses | None]:
        """Score plans, or take what is recorded of them, and add them to the run; ``cuts`` are of lists."""
        replayed = self._replay.take(indices, self.tally.trials)
        started = time.monotonic()
        plans = [self._space.plan(options) for options in assignments[len(replayed) :]]
        qualities = self._scored(plans, len(replayed), costs, cuts) if plans else []
        now = time.monotonic()
        if plans:
            self._adapt_chunk(len(plans), now - started)
            self.tally.evaluation_seconds += now - started
        share = (now - started) / max(1, len(plans))
        losses, rows, first = [], [], self.tally.trials
        for position, trial in enumerate(replayed):
            losses.append(self._losses(trial.metrics, trial.reason))
            if trial.state == "failed":
                self.tally.failed += 1
                self.tally.first_failure = self.tally.first_failure or trial.reason
            self.tally.dominated += trial.state == "dominated"
            assert first + position == trial.number
        for position, quality in enumerate(qualities, start=len(replayed)):
            metrics = {name: values[position] for name, values in costs.items()}
            state: State = "complete"
            reason = quality.failure
            if quality.failure is not None:
                state = "failed"
                self.tally.failed += 1
                self.tally.first_failure = self.tally.first_failure or quality.failure
            elif quality.dropped_after is not None:
                state, reason = "dominated", quality.bound
                self.tally.dominated += 1
                self.tally.saved_samples += quality.samples - quality.dropped_after
            else:
                metrics.update(quality.metrics)
            rows.append(self._row(first + position, indices[position], metrics, state, reason, share, now))
            losses.append(self._losses(metrics, reason))
        self.tally.trials += len(losses)
        self.tally.replayed += len(replayed)
        self._store.append(rows)
        self._add_to_front(losses, first)
        return losses

    def _scored(
        self, plans: Sequence[Plan], first: int, costs: dict[str, list[float]], cuts: Sequence[int]
    ) -> list[Quality]:
        if self._together.evaluate_lists is not None:
            ends = [0, *(max(0, end - first) for end in accumulate(cuts))]
            return self._together.evaluate_lists([plans[start:end] for start, end in pairwise(ends)])
        if self._evaluate_early is None:
            return self._score(plans)

        def can_matter(position: int, bounds: Mapping[str, float]) -> bool:
            """Whether the plan is not dominated yet: by the front as it was when the round began, so that
            what is dropped does not depend on how fast plans are scored."""
            metrics = {name: values[first + position] for name, values in costs.items()}
            best = np.array(self._objectives.losses({**metrics, **bounds}))
            others = self._beaten_by
            return not ((others <= best).all(axis=1) & (others < best).any(axis=1)).any()

        return self._evaluate_early(plans, can_matter)

    def _row(
        self,
        number: int,
        index: int,
        metrics: dict[str, float],
        state: State,
        reason: str | None,
        seconds: float,
        now: float,
    ) -> TrialRow:
        values = tuple(metrics.get(name) for name in self._store.metrics)
        return number, index, state, reason, seconds, now - self._started, values

    def _losses(self, metrics: dict[str, float], reason: str | None) -> Losses | None:
        if reason is not None or first_broken(self._constraints, metrics):
            return None
        return self._objectives.losses(metrics)

    def _add_to_front(self, losses: Sequence[Losses | None], first: int) -> None:
        rows = [(row, first + position) for position, row in enumerate(losses) if row is not None]
        if rows:
            self.front.add(np.array([row for row, _ in rows]), np.array([number for _, number in rows]))

    def _adapt_chunk(self, count: int, seconds: float) -> None:
        if count == self._chunk or seconds > CHUNK_SECONDS:
            fitting = int(count * CHUNK_SECONDS / max(seconds, 1e-6))
            self._chunk = max(1, min(fitting, 4 * count))

    def _draw(self, budget: Budget, progress: Progress) -> bool:
        """Try an admitted plan at random in the sampler's place; False when none is left."""
        index = self._left_over.draw(self._seen)
        if index is None:
            self.tally.exhausted = self._space.size <= ENUMERABLE
            return False
        options = self._space.options_at(index)
        self.tally.drawn += 1
        costs = {name: values.tolist() for name, values in self._costs.of([options]).items()}
        (losses,) = self._trials([options], [index], costs, [1])
        self._seen[index] = losses
        self._sampler.tell(options, losses)
        progress(self.tally.trials, len(self.front))
        return not self._is_late(budget)
