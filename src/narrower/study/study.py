"""The program on one page: settings, model and data, network and space; then weights, search and record.

``narrower search``, ``check`` and ``compare`` come with settings, ``narrower.search`` with a problem that it
put together from Python values.
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path

from narrower.data.catalogue import short_name
from narrower.errors import DivergedError
from narrower.evaluate.evaluator import CACHE_BYTES
from narrower.evaluate.sample_engine import all_failed
from narrower.models.catalogue import short_model_name
from narrower.report.record import RunRecord
from narrower.searching.loop import Budget, Loop
from narrower.searching.samplers.sampler import Sampler
from narrower.settings.load import LoadedSettings, located
from narrower.settings.logic_rounding import with_rounding
from narrower.store.files import write_json
from narrower.store.run_directory import RunDirectory
from narrower.store.run_files import MEMBERS_FACT, member_facts
from narrower.store.trials import TrialStore
from narrower.study.calibrated_space import Calibrating
from narrower.study.candidate_curves import record_curves
from narrower.study.candidate_weights import keep_weights
from narrower.study.chosen_sampler import chosen_sampler
from narrower.study.evaluators import Evaluators, build_plan_evaluator, plans_together
from narrower.study.front_members import Outcome
from narrower.study.learned_search import learned_search
from narrower.study.machine import on_this_machine, weights_of
from narrower.study.plan_evaluator import PlanEvaluator
from narrower.study.pose import pose
from narrower.study.problem import Problem, Say, given_weights, named_weights, users_weights
from narrower.study.record import examine_front
from narrower.study.run_facts import (
    BATCH_SIZE_FACT,
    THREADS_FACT,
    not_repeated,
    proposals_at_a_time,
    results_beside,
    whole_number,
)
from narrower.study.tracked import NOBODY, Followers, ShowProgress, Telling


@dataclass(frozen=True)
class Study:
    """What is searched: settings, the problem that they pose, and a file of weights where one is named."""

    settings: LoadedSettings
    problem: Problem
    weights: Path | None

    @property
    def name(self) -> str:
        """What its directory is called where nothing else is asked for."""
        asked = self.settings.settings
        return asked.project or f"{short_model_name(asked.model)}-{short_name(self.problem.data.name)}"


def settled(loaded: LoadedSettings, *, is_new: bool = True) -> LoadedSettings:
    """Settings as they mean something on this machine; a new search may choose what a run goes on with."""
    return on_this_machine(with_rounding(loaded) if is_new else loaded)


def pose_study(
    loaded: LoadedSettings,
    load: Path | None,
    *,
    say: Say,
    absent: Say | None = None,
    calibrating: Calibrating | None = None,
) -> Study:
    """From settings to what is searched: task and data, model, network and space; then the weights of a file.

    ``load`` are weights in the place of those that the settings name. ``absent`` is told of data and weights
    that are not here; without it that is wrong. ``calibrating`` shows how far calibration is.

    Raises:
        SettingsError: with file and line.
    """
    with located(loaded.layers):
        weights = weights_of(loaded, load, absent)
        problem = pose(loaded.settings, absent=absent)
        if weights is not None:
            take = users_weights if load else named_weights
            problem = take(problem, weights, say=say, calibrating=calibrating)
    return Study(loaded, problem, weights)


def resumed_study(loaded: LoadedSettings, run: RunDirectory, calibrating: Calibrating | None = None) -> Study:
    """What a run began to search, with the weights that it began with."""
    with located(loaded.layers):
        problem = pose(loaded.settings)
    return Study(loaded, given_weights(problem, run.weights, calibrating=calibrating), run.weights)


def with_weights(
    study: Study, run: RunDirectory, *, say: Say, show_progress: bool, calibrating: Calibrating | None = None
) -> Problem:
    """The problem with weights: those of a file, those that were trained in this run, or newly trained."""
    if study.weights is not None or not study.problem.preparation.needs_weights:
        return study.problem
    from narrower.study.weights import initial_weights  # Lightning takes seconds to import

    return initial_weights(
        study.problem,
        study.settings.settings,
        run,
        say=say,
        show_progress=show_progress,
        calibrating=calibrating,
    )


def search(
    problem: Problem,
    run: RunDirectory,
    store: TrialStore,
    *,
    show_progress: ShowProgress,
    cache_bytes: int = CACHE_BYTES,
    say: Say = lambda _text: None,
    sampler: Sampler | None = None,
    followers: Followers = NOBODY,
) -> RunRecord:
    """Search until the budget is spent and write the front; Ctrl-C ends it early with what there is.

    ``say`` is told of earlier runs that cannot be read, and what happens to workers; ``sampler`` proposes in
    the place of the one that the options name; ``followers`` are told of every trial.

    Raises:
        AllTrialsFailedError: no plan could be scored.
        RunError: the sampler does not repeat what the run recorded, or the run cannot be written.
        TrackerError: a tracker cannot begin.
    """
    telling = Telling(followers, run, store, say)
    telling.begin()
    started, facts = time.monotonic(), store.facts()
    batch_size, threads = whole_number(facts, BATCH_SIZE_FACT), whole_number(facts, THREADS_FACT)
    with Evaluators(problem, batch_size, cache_bytes, threads, say) as evaluators:
        plan_evaluator = build_plan_evaluator(problem, evaluators.whole)
        preparation = plan_evaluator.preparation  # gives plans their weights
        keep_weights(problem, run, store, preparation)
        plan_evaluator.adopt(results_beside(problem, run, batch_size, say))
        watched = telling.watched(show_progress)
        outcome: Outcome
        if problem.preparation.proposes:
            outcome = learned_search(problem, run, store, preparation, watched, evaluators.workers)
        else:
            outcome = _proposed(problem, store, plan_evaluator, evaluators, watched, sampler)
        record = examine_front(problem, outcome, store, evaluators.whole, plan_evaluator, run, started)
        record_curves(problem, run, store, preparation, evaluators.whole, record)
        lost = evaluators.lost_workers
    store.set_fact(MEMBERS_FACT, member_facts(run, [m.weights for m in record.members if m.weights]))
    record = replace(record, summary=replace(record.summary, lost_workers=lost))
    write_json(run.front, record.to_dict())
    telling.end(record)
    return record


def _proposed(
    problem: Problem,
    store: TrialStore,
    plan_evaluator: PlanEvaluator,
    evaluators: Evaluators,
    show_progress: ShowProgress,
    sampler: Sampler | None,
) -> Loop:
    """Plans that a sampler proposes, scored and recorded one round after the other."""
    options = problem.options
    sampler, wanted = chosen_sampler(problem, store, sampler)
    asked = options.batch or plans_together(problem, plan_evaluator.preparation) or sampler.default_batch
    batch = proposals_at_a_time(store, asked)
    loop = Loop(
        problem.space,
        problem.costs,
        sampler,
        plan_evaluator.evaluate,
        problem.objectives,
        problem.constraints,
        store,
        seed=options.seed,
        evaluate_early=evaluators.evaluate_early,
        together=evaluators.together(plan_evaluator),
    )
    try:
        with show_progress(wanted) as progress:
            loop.run(Budget(wanted, options.timeout_seconds, batch), progress)
    except DivergedError as error:
        raise not_repeated(error, options.sampler, store.facts()) from error
    if loop.tally.trials and loop.tally.failed == loop.tally.trials:
        raise all_failed(f"all {loop.tally.failed} trials failed", loop.tally.first_failure)
    return loop
