"""Train plans of a finished search in their number formats, score them anew, and take the front again."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray
from torch import nn

from narrower.errors import RunError, SettingsError
from narrower.evaluate.backends.backend import build_workers
from narrower.evaluate.evaluator import Evaluator
from narrower.graph.program import Program
from narrower.plan.plan import Plan
from narrower.report.finetuned import NAME, FinetunedRecord
from narrower.searching.objective import ARTEFACT_METRICS
from narrower.store.files import write_json
from narrower.store.run_directory import RunDirectory
from narrower.store.trial import Trial
from narrower.store.trials import TrialStore
from narrower.study.artefacts import Artefacts
from narrower.study.chosen_untrained import by_loss, check_order, chosen_untrained
from narrower.study.cross_validation import cross_validated
from narrower.study.finetuned_front import FinetunedFront, Tuned, epochs_of
from narrower.study.halving import best_by_rank
from narrower.study.lessons import Lesson, Lessons
from narrower.study.problem import Problem, Say
from narrower.study.rivals import rivals_of
from narrower.study.staged_training import InTraining, Stage, StagedTraining, StepsSeen, plans_at_once
from narrower.study.threads import THREADS, with_threads
from narrower.study.trained_program import program_of
from narrower.study.training_work import TrainingsElsewhere, TrainingWork
from narrower.study.tuned_states import TunedStates
from narrower.tasks.task import leading
from narrower.training.finetuning import UNTRAINED, Finetuning
from narrower.training.many import is_together
from narrower.training.recipe import seeds_from


class Finetuner:
    """Trains plans of one run; what was trained before a kill is not trained again."""

    def __init__(
        self,
        problem: Problem,
        run: RunDirectory,
        store: TrialStore,
        how: Finetuning,
        seen: StepsSeen,
        say: Say = lambda _text: None,
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
        check_order(how.order)
        self._problem, self._run, self._store, self._how, self._seen = problem, run, store, how, seen
        self._say, self._lesson = say, Lesson(how.recipe)
        self._lessons = Lessons(problem.model, problem.data.train, problem.part, how)
        self._training = self._lessons.in_rounds(self._lesson)
        self._metric = leading(problem.data.task)
        self._further_steps = 0
        batch_size = store.facts().get("batch size")
        if not isinstance(batch_size, int):
            raise RunError(f"{run.path}: the run does not say its batch size")
        self._batch_size = batch_size
        self._front = FinetunedFront(problem, run, how, self._training, batch_size)

    def finetune(self, numbers: Sequence[int], front: Sequence[int]) -> FinetunedRecord:
        """Train the plans of these trials; ``front`` are the members before.

        The record is written, and the weights of what is on the front after. Where the problem's backend has
        workers, these train.

        Raises:
            RunError: there is no such trial, or none could be trained.
        """
        with ExitStack() as until_ended:
            until_ended.enter_context(with_threads(THREADS))
            return self._finetune(numbers, front, until_ended)

    def _finetune(
        self, numbers: Sequence[int], front: Sequence[int], until_ended: ExitStack
    ) -> FinetunedRecord:
        started = time.monotonic()
        wanted = list(dict.fromkeys([*numbers, *front]))
        total = self._store.count()
        if missing := [number for number in wanted if not 0 <= number < total]:
            raise RunError(f"{self._run.path}: no trial {missing[0]}; there are {total:,}, from 0 on")
        every = [self._begun(trial) for trial in self._store.trials(wanted)]
        pool = [tuned for tuned in every if tuned.number in set(numbers)]
        entered = self._entering(pool)
        staged = self._staged(pool, until_ended)
        rounds = list(self._rounds(entered, staged))
        if self._how.folds > 1:
            self._cross_validate(entered, staged)
        if entered and all(tuned.failure is not None for tuned in entered):
            raise RunError(f"none of {len(entered)} plans could be trained: {entered[0].failure}")
        after = self._front.after(every, set(front))
        self._with_seeds([tuned for tuned in every if tuned.number in after], staged)
        record = self._front.record(every, set(front), after, rounds, self._further_steps)
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

    def _begun(self, trial: Trial) -> Tuned:
        plan = self._problem.space.plan(self._problem.space.options_at(trial.plan_index))
        if trial.state != "complete":
            raise RunError(f"{self._run.path}: trial {trial.number} is {trial.state}: {trial.reason}")
        return Tuned(trial, dict(trial.metrics), InTraining(trial.number, plan))

    def _staged(self, pool: Sequence[Tuned], until_ended: ExitStack) -> StagedTraining:
        facts, how = self._store.facts(), replace(self._how, seeds=1)
        numbers = [tuned.number for tuned in pool]
        identity = repr((how, numbers, facts.get("model weights"), facts.get("data set"), facts.get("space")))
        at_once = plans_at_once(self._problem.program.network, self._how.recipe.batch_size)
        states = TunedStates(self._run.path, identity)
        elsewhere = self._elsewhere([tuned.plan for tuned in pool][:at_once])
        if elsewhere is not None:
            until_ended.callback(elsewhere.close)
        return StagedTraining(self._lessons, states, at_once, self._metric, self._seen, elsewhere)

    def _elsewhere(self, plans: Sequence[Plan]) -> TrainingsElsewhere | None:
        """Workers that train; None where there are none. Some plans show whether they compute as here."""
        backend = self._problem.backend
        workers = build_workers(replace(backend, jobs=backend.processes), self._say)
        if workers is None:
            return None
        able = tuple(plan for plan in plans if self._training.why_not(plan) is None)
        return TrainingsElsewhere(TrainingWork(self._lessons, self._metric, able), workers)

    def _rounds(self, pool: Sequence[Tuned], staged: StagedTraining) -> Iterator[tuple[int, int]]:
        """Train in rounds; how many plans each had, and the step it stopped at."""
        going = list(pool)
        stops = self._how.stops(self._training.steps)
        for number, stop in enumerate(stops):
            round_ = [tuned.training for tuned in going]
            staged.train(Stage(f"round {number + 1}", self._lesson, round_, stop))
            for tuned in going:
                tuned.failure = tuned.training.failure
                tuned.epochs = epochs_of(tuned.training)
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

    def _entering(self, pool: Sequence[Tuned]) -> list[Tuned]:
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
        chosen = chosen_untrained(self._problem, self._how.order, rows, count, self._seen)
        left = {tuned.number for tuned in able} - {able[place].number for place in chosen}
        return [tuned for tuned in pool if tuned.number not in left]

    def _cross_validate(self, pool: Sequence[Tuned], staged: StagedTraining) -> None:
        """Score plans by cross-validation in the place of what they came to on the part that scores."""
        going = {tuned.number: tuned for tuned in pool if tuned.after is not None}
        plans = {number: tuned.plan for number, tuned in going.items()}
        found = cross_validated(self._problem, plans, staged, self._batch_size)
        for number, score in found.items():
            tuned = going[number]
            assert tuned.after is not None
            if score.quality.failure is not None:
                tuned.failure, tuned.after = score.quality.failure, None
                continue
            tuned.after |= score.quality.metrics
            tuned.contributions = (score.contributions,)
        self._further_steps += len(going) * self._how.folds * self._training.steps

    def _with_seeds(self, members: Sequence[Tuned], staged: StagedTraining) -> None:
        """Train members again with other seeds, and remember what each sample contributed."""
        trained = {tuned.number: tuned for tuned in members if self._front.is_trained(tuned)}
        if self._how.folds == 1:
            for each, model in staged.models(self._training, [t.training for t in trained.values()]):
                own = self._contributions(program_of(self._problem, model), each.plan)
                trained[each.number].contributions = (own,)
        for tuned in members:
            if not tuned.contributions:
                tuned.contributions = (self._contributions(self._problem.subject.lowered, tuned.plan),)
        seeds = seeds_from(self._how.recipe.seed, self._how.seeds)[1:]
        further = {seed: list(self._stages_of_seed(seed, trained)) for seed in seeds}
        staged.ahead([stage for stages in further.values() for stage in stages])
        for stages in further.values():
            for stage in stages:
                staged.train(stage)
                self._further_steps += len(stage.going) * stage.stop
            again = [each for stage in stages for each in stage.going]
            training = self._lessons.in_rounds(stages[0].lesson) if stages else self._training
            for each, model in staged.models(training, again):
                own = self._contributions(program_of(self._problem, model), each.plan)
                trained[each.number].contributions += (own,)

    def _stages_of_seed(self, seed: int, trained: Mapping[int, Tuned]) -> Iterator[Stage]:
        """Members from the start once more with a seed, each for as many steps as before."""
        lesson = Lesson(replace(self._how.recipe, seed=seed))
        for stop in sorted({tuned.training.step for tuned in trained.values()}):
            some = [tuned for tuned in trained.values() if tuned.training.step == stop]
            again = [InTraining(tuned.number, tuned.plan) for tuned in some]
            yield Stage(f"seed {seed} to step {stop}", lesson, again, stop)

    def _contributions(self, program: Program, plan: Plan) -> NDArray[Any]:
        found: NDArray[Any] = self._evaluator(program).contributions([plan.formats])[0].numpy()
        return found

    def _evaluator(self, program: Program) -> Evaluator:
        problem = self._problem
        return Evaluator(program, problem.part, batch_size=self._batch_size, own_metrics=problem.own_metrics)

    def _score(self, tuned: Tuned, model: nn.Module) -> None:
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
