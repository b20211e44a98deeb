"""Train plans of a finished search in their number formats, score them anew, and take the front again."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from torch import nn

from narrower.errors import RunError, SettingsError
from narrower.evaluate.evaluator import Evaluator
from narrower.evaluate.intervals import with_intervals
from narrower.export.compressed import save_compressed
from narrower.graph.lower import lower
from narrower.graph.network import numel
from narrower.graph.program import Program, with_parameters
from narrower.plan.plan import Plan, plan_to_dict
from narrower.report.finetuned import NAME, FinetunedMember, FinetunedRecord
from narrower.searching.front import dominates, front_indices
from narrower.searching.objective import ARTEFACT_METRICS
from narrower.store.files import write_json
from narrower.store.run_directory import RunDirectory
from narrower.store.trial import Trial
from narrower.store.trials import TrialStore
from narrower.study.artefacts import Artefacts
from narrower.study.problem import Problem
from narrower.study.tuned_states import TunedStates
from narrower.tasks.quality import Quality
from narrower.tasks.task import leading
from narrower.training.continued import CandidateState
from narrower.training.core import Core
from narrower.training.finetuning import Finetuning
from narrower.training.in_rounds import InRounds, State
from narrower.training.many import is_together

MOST_TOGETHER = 32  # plans that are trained at once
MOST_VALUES = 2**26  # numbers that the layers of these may hold for one batch

RoundSeen = Callable[[int, int, int], None]  # the round, steps done in it by all plans, and all steps of it


@dataclass
class _Tuned:
    """One plan on its way."""

    trial: Trial
    plan: Plan
    before: dict[str, float]
    state: State | None = None
    stop: int = 0
    after: dict[str, float] | None = None
    curve: tuple[float, ...] = ()
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class _Done:
    """How far a round is, for whoever wants to know."""

    seen: RoundSeen
    round_number: int
    before: int  # steps of the plans that were trained before in this round
    of_all: int

    def say(self, steps: int) -> None:
        self.seen(self.round_number, self.before + steps, self.of_all)


class Finetuner:
    """Trains plans of one run; what was trained before a kill is not trained again."""

    def __init__(
        self, problem: Problem, run: RunDirectory, store: TrialStore, how: Finetuning, seen: RoundSeen
    ) -> None:
        if not problem.shares_weights:
            raise SettingsError(
                f"{run.path}: its plans have weights of their own already; a search with the model's weights "
                "is what can be trained further"
            )
        if problem.part_name == "train":
            raise SettingsError(
                f"{run.path}: its plans were scored on the training part, whose samples would teach them; "
                "search with data_loader = 'val_dataloader'"
            )
        if not is_together(how.recipe):
            raise SettingsError(
                "finetuning trains many plans with one rate, on the processor: allowed are optimizers other "
                "than 'muon', schedules other than 'plateau', and accelerator = 'cpu'"
            )
        self._problem, self._run, self._store, self._how, self._seen = problem, run, store, how, seen
        self._training = InRounds(problem.model, problem.data.train, how.recipe)
        self._metric = leading(problem.data.task)
        batch_size = store.facts().get("batch size")
        if not isinstance(batch_size, int):
            raise RunError(f"{run.path}: the run does not say its batch size")
        self._batch_size = batch_size

    def finetune(self, numbers: Sequence[int], front: Sequence[int]) -> FinetunedRecord:
        """Train the plans of these trials; ``front`` are the members before.

        The record is written, and the weights of what is on the front after.

        Raises:
            RunError: there is no such trial, or none could be trained.
        """
        started = time.monotonic()
        wanted = list(dict.fromkeys([*numbers, *front]))
        total = self._store.count()
        if missing := [number for number in wanted if not 0 <= number < total]:
            raise RunError(f"{self._run.path}: no trial {missing[0]}; there are {total:,}, from 0 on")
        every = [self._begun(trial) for trial in self._store.trials(wanted)]
        pool = [tuned for tuned in every if tuned.trial.number in set(numbers)]
        states = TunedStates(self._run.path, self._identity(pool))
        rounds = list(self._rounds(pool, states))
        if pool and all(tuned.failure is not None for tuned in pool):
            raise RunError(f"none of {len(pool)} plans could be trained: {pool[0].failure}")
        record = self._record(every, set(front), rounds, time.monotonic() - started)
        write_json(self._run.path / NAME, record.to_dict())
        return record

    def _begun(self, trial: Trial) -> _Tuned:
        plan = self._problem.space.plan(self._problem.space.options_at(trial.plan_index))
        if trial.state != "complete":
            raise RunError(f"{self._run.path}: trial {trial.number} is {trial.state}: {trial.reason}")
        return _Tuned(trial, plan, dict(trial.metrics))

    def _identity(self, pool: Sequence[_Tuned]) -> str:
        facts = self._store.facts()
        numbers = [tuned.trial.number for tuned in pool]
        return repr(
            (self._how, numbers, facts.get("model weights"), facts.get("data set"), facts.get("space"))
        )

    def _rounds(self, pool: Sequence[_Tuned], states: TunedStates) -> Iterator[tuple[int, int]]:
        """Train in rounds; how many plans each had, and the step it stopped at."""
        going = list(pool)
        stops = self._how.stops(self._training.steps)
        for number, stop in enumerate(stops):
            self._train(going, number, stop, states)
            going = [tuned for tuned in going if tuned.failure is None]
            for tuned, model in self._models(going):
                self._score(tuned, model)
            yield len(going), stop
            going = [tuned for tuned in going if tuned.failure is None]
            if number + 1 < len(stops):
                going = best_by_rank(
                    going,
                    [self._losses(tuned.after or tuned.before) for tuned in going],
                    self._how.survivors(len(going)),
                )

    def _train(self, going: Sequence[_Tuned], number: int, stop: int, states: TunedStates) -> None:
        done, previous = 0, going[0].stop if going else 0
        of_all = len(going) * (stop - previous)
        for group in self._groups(going):
            names = [tuned.trial.number for tuned in group]
            found: list[State | None] = [states.load(name, number) for name in names]
            if any(state is None for state in found):
                key = f"round {number}: {names}"
                trained = self._trained(group, stop, key, states, _Done(self._seen, number, done, of_all))
                for name, state in zip(names, trained, strict=True):
                    states.save(name, number, state)
                found = list[State | None](trained)
            done += len(group) * (stop - previous)
            for tuned, held in zip(group, found, strict=True):
                assert held is not None  # it was trained just now, or before
                tuned.state, tuned.stop = held, stop
                tuned.failure = held if isinstance(held, str) else None

    def _trained(
        self, group: Sequence[_Tuned], stop: int, key: str, states: TunedStates, done: "_Done"
    ) -> list[State]:
        reasons = [self._training.why_not(tuned.plan) for tuned in group]
        able = [tuned for tuned, reason in zip(group, reasons, strict=True) if reason is None]
        found: list[State] = []
        if able:
            begun = able[0].stop

            def epoch(core: Core) -> None:
                states.epoch(key, core)
                done.say(len(able) * (core.step - begun))

            found = self._training.train(
                [tuned.plan for tuned in able],
                [tuned.state if isinstance(tuned.state, dict) else None for tuned in able],
                stop,
                unfinished=states.unfinished(key),
                seen=epoch,
            )
        trained = iter(found)
        return [next(trained) if reason is None else reason for reason in reasons]

    def _groups(self, going: Sequence[_Tuned]) -> Iterator[Sequence[_Tuned]]:
        """Plans that are trained together; which these are does not depend on what was trained before."""
        recipe = self._how.recipe
        operators = self._problem.program.network.operators
        values = sum(numel(operator.output_shape, recipe.batch_size) for operator in operators)
        at_once = max(1, min(MOST_TOGETHER, MOST_VALUES // max(1, values)))
        for start in range(0, len(going), at_once):
            yield going[start : start + at_once]

    def _models(self, going: Sequence[_Tuned]) -> Iterator[tuple[_Tuned, nn.Module]]:
        for group in self._groups(going):
            states: list[CandidateState] = [t.state for t in group if isinstance(t.state, dict)]
            models = self._training.weights([tuned.plan for tuned in group], states)
            yield from zip(group, models, strict=True)

    def _score(self, tuned: _Tuned, model: nn.Module) -> None:
        """Metrics of the deployed form, by the engine."""
        program = self._program(model)
        evaluator = Evaluator(
            program, self._problem.part, batch_size=self._batch_size, own_metrics=self._problem.own_metrics
        )
        (quality,) = evaluator.evaluate([tuned.plan.formats], loss=True)
        measured = sorted(self._problem.seen_metrics & set(ARTEFACT_METRICS))
        artefacts = Artefacts(self._problem, program).measure(tuned.plan, measured)
        reason = quality.failure or next(iter(artefacts.reasons.values()), None)
        if reason is not None:
            tuned.failure = reason
            return
        tuned.after = {**tuned.before, **quality.metrics, **artefacts.values}
        tuned.curve = (*tuned.curve, quality.metrics[self._metric.name])

    def _program(self, model: nn.Module) -> Program:
        subject = self._problem.subject
        found = with_parameters(subject.program, model, subject.program.network)
        return lower(found or subject.traced(model))

    def _kept(self, tuned: _Tuned) -> dict[str, float]:
        """The metrics after, unless those before are better in all: then the float model's weights stay."""
        if tuned.after is None:
            return tuned.before
        before, after = (np.array(self._losses(metrics)) for metrics in (tuned.before, tuned.after))
        return tuned.before if dominates(before, after) else tuned.after

    def _losses(self, metrics: dict[str, float]) -> tuple[float, ...]:
        return self._problem.objectives.losses(metrics)

    def _record(
        self, every: Sequence[_Tuned], before: set[int], rounds: Sequence[tuple[int, int]], seconds: float
    ) -> FinetunedRecord:
        ended = [tuned for tuned in every if tuned.failure is None or tuned.trial.number in before]
        losses = np.array([self._losses(self._kept(tuned)) for tuned in ended])
        after = {ended[int(row)].trial.number for row in front_indices(losses)}
        members = [
            FinetunedMember(
                tuned.trial.number,
                plan_to_dict(tuned.plan),
                tuned.before,
                tuned.after,
                tuned.stop,
                tuned.curve,
                tuned.trial.number in before,
                tuned.trial.number in after,
                failure=tuned.failure,
            )
            for tuned in every
        ]
        by_number = {tuned.trial.number: tuned for tuned in every}
        delivered = [
            self._delivered(member, by_number[member.number]) if member.is_member else member
            for member in members
        ]
        recipe = self._how.recipe
        return FinetunedRecord(
            recipe=asdict(recipe),
            rounds=tuple(rounds),
            steps=sum(member.steps for member in members),
            steps_of_all=sum(member.steps > 0 for member in members) * self._training.steps,
            choosing=recipe.choosing_share if recipe.chooses else 0.0,
            metric=self._metric.name,
            objectives=tuple(o.metric for o in self._problem.objectives.each),
            samples=len(self._problem.part),
            part=self._problem.part_name,
            seconds=seconds,
            members=tuple(delivered),
        )

    def _delivered(self, member: FinetunedMember, tuned: _Tuned) -> FinetunedMember:
        """A member of the front after, looked at on the test part, with its weights kept."""
        problem, path = self._problem, None
        program = problem.subject.lowered
        if isinstance(tuned.state, dict) and self._kept(tuned) is tuned.after:
            (model,) = self._training.weights([tuned.plan], [tuned.state])
            program = self._program(model)
            path = self._run.path / "models" / f"finetuned-{member.number}.safetensors"
            save_compressed(model, problem.model_name, tuned.plan, path, problem.subject.examples)
        (own,) = self._qualities(program, tuned.plan, on_test=False)
        (test,) = self._qualities(program, tuned.plan, on_test=True)
        return replace(
            member,
            interval=own.interval,
            test_value=test.metrics.get(self._metric.name),
            test_interval=test.interval,
            weights=None if path is None else str(Path(path).relative_to(self._run.path)),
        )

    def _qualities(self, program: Program, plan: Plan, *, on_test: bool) -> list[Quality]:
        part = self._problem.data.test if on_test else self._problem.part
        return with_intervals(Evaluator(program, part, batch_size=self._batch_size), [plan.formats])


def best_by_rank(going: Sequence[_Tuned], losses: Sequence[tuple[float, ...]], count: int) -> list[_Tuned]:
    """The best ``count`` by non-dominated rank, in their order; of the last rank those far from others."""
    kept: list[int] = []
    left = list(range(len(going)))
    table = np.array(losses)
    while len(kept) < count:
        rank = [left[int(row)] for row in front_indices(table[left])]
        if len(kept) + len(rank) > count:
            rank = _spread(table, rank, count - len(kept))
        kept += rank
        left = [number for number in left if number not in set(rank)]
    return [going[number] for number in sorted(kept)]


def _spread(
    table: "np.ndarray[tuple[int, int], np.dtype[np.float64]]", rank: list[int], count: int
) -> list[int]:
    """The ``count`` with the largest crowding distance (Deb et al., 2002)."""
    rows = table[rank]
    distance = np.zeros(len(rank))
    for column in rows.T:
        order = np.argsort(column, kind="stable")
        reach = column[order[-1]] - column[order[0]]
        distance[order[[0, -1]]] = np.inf
        if reach > 0:
            distance[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / reach
    return [rank[int(place)] for place in np.argsort(-distance, kind="stable")[:count]]
