"""Train plans of a finished search in their number formats, score them anew, and take the front again."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from narrower.errors import RunError, SettingsError
from narrower.evaluate.evaluator import Evaluator
from narrower.evaluate.intervals import with_intervals
from narrower.export.compressed import save_compressed
from narrower.graph.program import Program
from narrower.plan.plan import Plan, plan_to_dict
from narrower.report.curves import Epoch
from narrower.report.finetuned import NAME, FinetunedMember, FinetunedRecord
from narrower.searching.front import dominates, front_indices
from narrower.searching.objective import ARTEFACT_METRICS
from narrower.store.files import write_json
from narrower.store.run_directory import RunDirectory
from narrower.store.trial import Trial
from narrower.store.trials import TrialStore
from narrower.study.artefacts import Artefacts
from narrower.study.cross_validation import check_folds, cross_validated
from narrower.study.entering import by_loss, check_order, entering
from narrower.study.halving import best_by_rank
from narrower.study.problem import Problem
from narrower.study.rivals import rivals_of
from narrower.study.staged_training import InTraining, StagedTraining, StepsSeen, plans_at_once
from narrower.study.trained_program import program_of
from narrower.study.tuned_states import TunedStates
from narrower.tasks.spread import interval_of_trainings, leads, value_of
from narrower.tasks.task import leading
from narrower.training.continued import CURVE
from narrower.training.finetuning import UNTRAINED, Finetuning
from narrower.training.in_rounds import InRounds
from narrower.training.many import is_together
from narrower.training.recipe import seeds_from


@dataclass
class _Tuned:
    """One plan on its way; ``contributions`` of each training to the leading metric, where they are known."""

    trial: Trial
    before: dict[str, float]
    training: InTraining
    after: dict[str, float] | None = None
    curve: tuple[float, ...] = ()
    failure: str | None = None
    contributions: tuple[NDArray[Any], ...] = ()
    epochs: tuple[Epoch, ...] = ()

    @property
    def number(self) -> int:
        return self.trial.number

    @property
    def plan(self) -> Plan:
        return self.training.plan


class Finetuner:
    """Trains plans of one run; what was trained before a kill is not trained again."""

    def __init__(
        self, problem: Problem, run: RunDirectory, store: TrialStore, how: Finetuning, seen: StepsSeen
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
        check_folds(problem, how)
        check_order(how.order)
        self._problem, self._run, self._store, self._how, self._seen = problem, run, store, how, seen
        self._training = InRounds(problem.model, problem.data.train, how.recipe, problem.part)
        self._metric = leading(problem.data.task)
        self._further_steps = 0
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
        pool = [tuned for tuned in every if tuned.number in set(numbers)]
        staged = self._staged(pool)
        entered = self._entering(pool)
        rounds = list(self._rounds(entered, staged))
        if self._how.folds > 1:
            self._cross_validate(entered, staged)
        if entered and all(tuned.failure is not None for tuned in entered):
            raise RunError(f"none of {len(entered)} plans could be trained: {entered[0].failure}")
        after = self._front_after(every, set(front))
        self._with_seeds([tuned for tuned in every if tuned.number in after], staged)
        record = self._record(every, set(front), after, rounds)
        record = replace(
            record,
            seconds=time.monotonic() - started,
            steps_of_all=sum(tuned.failure is None for tuned in pool) * self._training.steps,
        )
        write_json(self._run.path / NAME, record.to_dict())
        return record

    def front_and_rivals(self, front: Sequence[int]) -> list[int]:
        """The members of a front, and the trials whose intervals reach it."""
        evaluator = self._evaluator(self._problem.subject.lowered)
        return [*front, *rivals_of(self._problem, self._store, front, evaluator)]

    def _begun(self, trial: Trial) -> _Tuned:
        plan = self._problem.space.plan(self._problem.space.options_at(trial.plan_index))
        if trial.state != "complete":
            raise RunError(f"{self._run.path}: trial {trial.number} is {trial.state}: {trial.reason}")
        return _Tuned(trial, dict(trial.metrics), InTraining(trial.number, plan))

    def _staged(self, pool: Sequence[_Tuned]) -> StagedTraining:
        facts, how = self._store.facts(), replace(self._how, seeds=1)
        numbers = [tuned.number for tuned in pool]
        identity = repr((how, numbers, facts.get("model weights"), facts.get("data set"), facts.get("space")))
        at_once = plans_at_once(self._problem.program.network, self._how.recipe.batch_size)
        return StagedTraining(TunedStates(self._run.path, identity), at_once, self._metric, self._seen)

    def _rounds(self, pool: Sequence[_Tuned], staged: StagedTraining) -> Iterator[tuple[int, int]]:
        """Train in rounds; how many plans each had, and the step it stopped at."""
        going = list(pool)
        stops = self._how.stops(self._training.steps)
        for number, stop in enumerate(stops):
            staged.train(self._training, f"round {number + 1}", [tuned.training for tuned in going], stop)
            for tuned in going:
                tuned.failure = tuned.training.failure
                tuned.epochs = _epochs(tuned.training)
            going = [tuned for tuned in going if tuned.failure is None]
            models = staged.models(self._training, [tuned.training for tuned in going])
            for tuned, (_, model) in zip(going, models, strict=True):
                self._score(tuned, model)
            yield len(going), stop
            going = [tuned for tuned in going if tuned.failure is None]
            if number + 1 < len(stops):
                objectives, leads_by = self._problem.objectives, self._metric.name
                losses = [by_loss(objectives, tuned.after or tuned.before, leads_by) for tuned in going]
                count, most = self._how.survivors(len(going))
                going = [going[place] for place in best_by_rank(losses, count, most)]

    def _entering(self, pool: Sequence[_Tuned]) -> list[_Tuned]:
        """The plans that are trained at all; one that cannot be trained is among them, and says why."""
        if self._how.order is None:
            return list(pool)
        able = [tuned for tuned in pool if self._training.why_not(tuned.plan) is None]
        rows = [(tuned.plan, tuned.before) for tuned in able]
        if self._how.order == UNTRAINED:  # a search does not need the loss
            evaluator = self._evaluator(self._problem.subject.lowered)
            found = evaluator.evaluate([plan.formats for plan, _ in rows], loss=True)
            rows = [
                (plan, {**own, **quality.metrics}) for (plan, own), quality in zip(rows, found, strict=True)
            ]
        count, _ = self._how.survivors(len(able))
        chosen = entering(self._problem, self._how.order, rows, count, self._seen)
        left = {tuned.number for tuned in able} - {able[place].number for place in chosen}
        return [tuned for tuned in pool if tuned.number not in left]

    def _cross_validate(self, pool: Sequence[_Tuned], staged: StagedTraining) -> None:
        """Score plans by cross-validation in the place of what they came to on the part that scores."""
        going = {tuned.number: tuned for tuned in pool if tuned.after is not None}
        plans = {number: tuned.plan for number, tuned in going.items()}
        found = cross_validated(self._problem, self._how, plans, staged, self._batch_size)
        for number, score in found.items():
            tuned = going[number]
            assert tuned.after is not None
            if score.failure is not None:
                tuned.failure, tuned.after = score.failure, None
                continue
            tuned.after |= score.quality.metrics
            tuned.contributions = (score.contributions,)
        self._further_steps += len(going) * self._how.folds * self._training.steps

    def _with_seeds(self, members: Sequence[_Tuned], staged: StagedTraining) -> None:
        """Train members again with other seeds, and remember what each sample contributed."""
        trained = {tuned.number: tuned for tuned in members if self._is_trained(tuned)}
        if self._how.folds == 1:
            for each, model in staged.models(self._training, [t.training for t in trained.values()]):
                own = self._contributions(program_of(self._problem, model), each.plan)
                trained[each.number].contributions = (own,)
        for tuned in members:
            if not tuned.contributions:
                tuned.contributions = (self._contributions(self._problem.subject.lowered, tuned.plan),)
        for seed in seeds_from(self._how.recipe.seed, self._how.seeds)[1:]:
            training = replace(self._training, recipe=replace(self._how.recipe, seed=seed))
            again = [InTraining(tuned.number, tuned.plan) for tuned in trained.values()]
            for stop in sorted({tuned.training.step for tuned in trained.values()}):
                some = [each for each in again if trained[each.number].training.step == stop]
                staged.train(training, f"seed {seed} to step {stop}", some, stop)
                self._further_steps += len(some) * stop
            for each, model in staged.models(training, again):
                own = self._contributions(program_of(self._problem, model), each.plan)
                trained[each.number].contributions += (own,)

    def _contributions(self, program: Program, plan: Plan) -> NDArray[Any]:
        found: NDArray[Any] = self._evaluator(program).contributions([plan.formats])[0].numpy()
        return found

    def _evaluator(self, program: Program) -> Evaluator:
        problem = self._problem
        return Evaluator(program, problem.part, batch_size=self._batch_size, own_metrics=problem.own_metrics)

    def _score(self, tuned: _Tuned, model: nn.Module) -> None:
        """Metrics of the deployed form, by the engine."""
        program = program_of(self._problem, model)
        (quality,) = self._evaluator(program).evaluate([tuned.plan.formats], loss=True)
        measured = sorted(self._problem.seen_metrics & set(ARTEFACT_METRICS))
        artefacts = Artefacts(self._problem, program).measure(tuned.plan, measured)
        reason = quality.failure or next(iter(artefacts.reasons.values()), None)
        if reason is not None:
            tuned.failure = reason
            return
        tuned.after = {**tuned.before, **quality.metrics, **artefacts.values}
        tuned.curve = (*tuned.curve, quality.metrics[self._metric.name])

    def _kept(self, tuned: _Tuned) -> dict[str, float]:
        """The metrics after, unless those before are better in all: then the float model's weights stay.

        Those of cross-validation are of other samples, and stay.
        """
        if tuned.after is None:
            return tuned.before
        before, after = (np.array(self._losses(metrics)) for metrics in (tuned.before, tuned.after))
        return tuned.before if self._how.folds == 1 and dominates(before, after) else tuned.after

    def _is_trained(self, tuned: _Tuned) -> bool:
        """Whether it is delivered with weights of its own."""
        return isinstance(tuned.training.state, dict) and self._kept(tuned) is tuned.after

    def _losses(self, metrics: dict[str, float]) -> tuple[float, ...]:
        return self._problem.objectives.losses(metrics)

    def _front_after(self, every: Sequence[_Tuned], before: set[int]) -> set[int]:
        ended = [tuned for tuned in every if tuned.failure is None or tuned.number in before]
        losses = np.array([self._losses(self._kept(tuned)) for tuned in ended])
        return {ended[int(row)].number for row in front_indices(losses)}

    def _record(
        self, every: Sequence[_Tuned], before: set[int], after: set[int], rounds: Sequence[tuple[int, int]]
    ) -> FinetunedRecord:
        on_front = [tuned for tuned in every if tuned.number in after]
        members = []
        for tuned in every:
            member = FinetunedMember(
                tuned.number,
                plan_to_dict(tuned.plan),
                tuned.before,
                tuned.after,
                tuned.training.step,
                tuned.curve,
                tuned.number in before,
                tuned.number in after,
                failure=tuned.failure,
                epochs=tuned.epochs,
            )
            members.append(self._delivered(member, tuned, on_front) if member.is_member else member)
        recipe, problem = self._how.recipe, self._problem
        samples = len(problem.part) + (len(problem.data.train) if self._how.folds > 1 else 0)
        return FinetunedRecord(
            recipe=asdict(recipe),
            rounds=tuple(rounds),
            steps=sum(member.steps for member in members),
            steps_of_all=0,  # known where the pool is
            choosing=recipe.choosing_share if recipe.chooses else 0.0,
            metric=self._metric.name,
            objectives=tuple(o.metric for o in problem.objectives.each),
            samples=samples,
            part=problem.part_name,
            seconds=0.0,
            members=tuple(members),
            seeds=self._how.seeds,
            folds=self._how.folds,
            further_steps=self._further_steps,
            rivals=sum(member.steps > 0 and not member.was_member for member in members),
            order=self._how.order,
        )

    def _delivered(
        self, member: FinetunedMember, tuned: _Tuned, on_front: Sequence[_Tuned]
    ) -> FinetunedMember:
        """A member of the front after, looked at on the test part, with its weights kept."""
        problem, path = self._problem, None
        program = problem.subject.lowered
        if isinstance(tuned.training.state, dict) and self._kept(tuned) is tuned.after:
            (model,) = self._training.weights([tuned.plan], [tuned.training.state])
            program = program_of(problem, model)
            path = self._run.path / "models" / f"finetuned-{member.number}.safetensors"
            save_compressed(model, problem.model_name, tuned.plan, path, problem.subject.examples)
        on_test = Evaluator(program, problem.data.test, batch_size=self._batch_size)
        (test,) = with_intervals(on_test, [tuned.plan.formats])
        values = tuple(value_of(self._metric, own) for own in tuned.contributions)
        return replace(
            member,
            interval=interval_of_trainings(self._metric, np.stack(tuned.contributions)),
            test_value=test.metrics.get(self._metric.name),
            test_interval=test.interval,
            weights=None if path is None else str(path.relative_to(self._run.path)),
            seed_values=values if self._how.seeds > 1 else (),
            certain=self._is_certain(tuned, on_front),
        )

    def _is_certain(self, tuned: _Tuned, on_front: Sequence[_Tuned]) -> bool | None:
        """Whether a member leads every other that is better in all else."""
        each = self._problem.objectives.each
        others = [o for o in each if o.metric != self._metric.name]
        if len(others) in (0, len(each)) or self._problem.objectives.sum_direction is not None:
            return None
        costs = {t.number: np.array([o.sign * self._kept(t)[o.metric] for o in others]) for t in on_front}
        rivals = [rival for rival in on_front if dominates(costs[rival.number], costs[tuned.number])]
        own = np.stack(tuned.contributions)
        return all(leads(self._metric, own, np.stack(rival.contributions)) for rival in rivals)


def _epochs(training: InTraining) -> tuple[Epoch, ...]:
    if not isinstance(training.state, dict) or CURVE not in training.state:
        return ()
    return tuple(Epoch(int(step), *rest) for step, *rest in training.state[CURVE].tolist())
