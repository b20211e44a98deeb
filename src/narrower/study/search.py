"""Run or go on with a search, and keep what a resume and a reader need."""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from narrower.backends.backend import build_backend
from narrower.backends.settings import BackendSettings
from narrower.data.parts import Part
from narrower.errors import DivergedError, RunError
from narrower.evaluate.batch_size import fitting_batch_size
from narrower.evaluate.early import EarlyScores, pieces
from narrower.evaluate.evaluator import CACHE_BYTES, Evaluator
from narrower.evaluate.scores import all_failed
from narrower.files import write_json, write_text
from narrower.models.arguments import arguments_note
from narrower.models.checkpoints import save_weights
from narrower.models.finite import check_finite
from narrower.plan import Plan
from narrower.preparation.catalogue import build_preparation
from narrower.preparation.learned import Learned
from narrower.preparation.preparation import Preparation
from narrower.preparation.settings import LearnedSettings
from narrower.quality import Quality
from narrower.report.record import RunRecord
from narrower.searching.earlier_results import earlier_results
from narrower.searching.known import Known
from narrower.searching.loop import Budget, Loop, Progress
from narrower.searching.objective import ARTEFACT_METRICS, COSTS, is_quality
from narrower.searching.samplers.build import build_sampler
from narrower.searching.samplers.catalogue import ENUMERATIONS
from narrower.searching.samplers.sampler import Sampler
from narrower.searching.samplers.share import Share, share_size
from narrower.searching.space_record import SPACE_FACT, describe_space
from narrower.store.provenance import changed_versions, environment
from narrower.store.run_directory import RunDirectory, list_runs
from narrower.store.run_files import MEMBERS_FACT, WEIGHTS_FACT, file_facts, member_facts
from narrower.store.trials import TrialStore
from narrower.study.artefacts import Artefacts
from narrower.study.learned_search import learned_search
from narrower.study.problem import Problem, Say
from narrower.study.record import Outcome, build_record
from narrower.study.scorer import Scorer
from narrower.tasks.task import LOSS, leading, spread_name

MERGED_FACT = "merged from"
THREADS = 1  # of each process: results do not depend on the machine, and n_jobs uses the cores
BATCH_FACT = "proposals at a time"
LEARNING_TOGETHER = 16  # proposals of a sampler that learns, where candidates are trained at once

ShowProgress = Callable[[int], AbstractContextManager[Progress]]


def start_run(problem: Problem, run: RunDirectory, settings: str) -> TrialStore:
    """Write down what is searched, so that the run can be resumed and reproduced.

    ``settings`` is the content of ``settings.toml``.

    Raises:
        RunError: a search lies here already; nothing is written.
        ModelError: the model gives no numbers; nothing is written.
        OutputError: it cannot be written.
    """
    if run.trials.exists():
        raise RunError(f"{run.trials}: holds a search already")
    if problem.preparation.needs_weights:
        check_finite(problem.model, problem.part, f"the {problem.part_name} part")
    batch_size = fitting_batch_size(problem.subject.lowered, len(problem.part))
    write_text(run.settings, settings)
    save_weights(problem.model, run.weights, arguments_note(problem.subject.examples))
    costs = [name for name, metric in COSTS.items() if metric.kind == "cost"]
    artefacts = sorted(problem.seen_metrics & set(ARTEFACT_METRICS))
    task = problem.data.task
    spread = [spread_name(task)] if problem.preparation.seeds > 1 else []
    return TrialStore.create(
        run.trials,
        [*(metric.name for metric in task.metrics), *problem.own_metrics, *spread, *artefacts, *costs],
        {
            **fingerprint(problem),
            **conditions(problem, batch_size, THREADS),
            **file_facts(run),
            SPACE_FACT: describe_space(problem.space),
            "sample count": len(problem.part),
            "environment": environment(),
            "model": problem.model_name,
        },
    )


def fingerprint(problem: Problem) -> dict[str, str]:
    """Content hashes of everything that a run's trials depend on."""
    return {"space": problem.space.content_hash, **_scored_on(problem)}


def _scored_on(problem: Problem) -> dict[str, str]:
    return {
        "model weights": problem.program.content_hash,
        "data set": problem.data.content_hash,
        "samples": f"{problem.part_name}[:{len(problem.part)}]",
        "retraining": repr(problem.preparation),
    }


def conditions(problem: Problem, batch_size: int, threads: int) -> dict[str, Any]:
    """What two searches must have in common for their results to be the same bit for bit."""
    return {**_scored_on(problem), "batch size": batch_size, "threads": threads}


def check_made_of(problem: Problem, run: RunDirectory, facts: Mapping[str, object]) -> None:
    """Refuse to make something of a run with another space, other data or other weights than it searched.

    Raises:
        RunError: with what differs.
    """
    names = ["space", "data set"] if WEIGHTS_FACT in facts else ["space", "data set", "model weights"]
    found = fingerprint(problem)
    changed = [name for name in names if facts.get(name) != found[name]]
    if changed:
        raise RunError(
            f"{run.path}: {' and '.join(changed)} (by {run.settings.name} and {run.weights.name}) are not "
            "those that were searched; what would be made of them is not what was scored"
        )


def check_unchanged(problem: Problem, run: RunDirectory, store: TrialStore) -> None:
    """Refuse to go on with a run whose space, model or data have changed; its files are recorded anew.

    Raises:
        RunError: with what has changed.
    """
    recorded = store.facts()
    if MERGED_FACT in recorded:
        raise RunError(f"{run.path}: merged from other runs; go on with those, and merge them again")
    for name, value in fingerprint(problem).items():
        if recorded.get(name) != value:
            raise RunError(f"the {name} of the run has changed since it began; start a new run instead")
    for name, content in file_facts(run).items():  # its budget may have been changed
        store.set_fact(name, content)


def run_search(
    problem: Problem,
    run: RunDirectory,
    store: TrialStore,
    *,
    show_progress: ShowProgress,
    cache_bytes: int = CACHE_BYTES,
    say: Say = lambda _text: None,
    sampler: Sampler | None = None,
) -> RunRecord:
    """Search until the budget is spent and write the front; Ctrl-C ends it early with what there is.

    Batch size and threads are those of the run's beginning. ``say`` is told of earlier runs that cannot be
    read. ``sampler`` proposes in the place of the one that the options name.

    Raises:
        AllTrialsFailedError: no plan could be scored.
        RunError: the sampler does not repeat what the run recorded, or the run cannot be written.
    """
    started = time.monotonic()
    facts = store.facts()
    threads_before = torch.get_num_threads()
    torch.set_num_threads(_whole_number(facts, "threads"))
    try:
        batch_size = _whole_number(facts, "batch size")
        early = None
        if problem.options.drop_dominated:
            cache_bytes //= 2  # for the whole, and for its pieces
        with ExitStack() as workers:
            evaluator = workers.enter_context(_evaluator(problem, problem.part, batch_size, cache_bytes, say))
            evaluators = [evaluator]
            if problem.options.drop_dominated:
                parts = pieces(problem.part, batch_size)
                evaluators += [
                    workers.enter_context(
                        _evaluator(problem, part, batch_size, cache_bytes // len(parts), say)
                    )
                    for part in parts
                ]
                early = EarlyScores(evaluators[1:])
            scorer = build_scorer(problem, evaluator)
            if problem.preparation.seeds == 1:  # the spread is not taken over
                scorer.adopt(_earlier(problem, run, batch_size, say))
            loop: Outcome
            if isinstance(scorer.preparation, Learned):
                loop = learned_search(problem, run, store, scorer.preparation, show_progress)
            else:
                loop = _search(problem, store, facts, scorer, early, show_progress, sampler)
            record = build_record(problem, loop, store, evaluator, scorer, run, started)
            lost = sum(each.lost_workers for each in evaluators)
    finally:
        torch.set_num_threads(threads_before)
    store.set_fact(MEMBERS_FACT, member_facts(run, [m.weights for m in record.members if m.weights]))
    record = replace(record, summary=replace(record.summary, lost_workers=lost))
    write_json(run.front, record.to_dict())
    return record


def build_scorer(problem: Problem, evaluator: Evaluator) -> Scorer:
    """What scores a problem's plans."""
    is_learned = isinstance(problem.preparation, LearnedSettings)  # its training says what plans cost
    measured = [] if is_learned else sorted(problem.seen_metrics & set(ARTEFACT_METRICS))
    return Scorer(
        build_preparation(problem.preparation, problem.subject),
        evaluator,
        loss=LOSS in problem.seen_metrics,
        own_metrics=problem.own_metrics,
        artefacts=Artefacts(problem, evaluator.program) if measured else None,
        measured=measured,
    )


def _proposals(problem: Problem, preparation: Preparation) -> int | None:
    """Plans that are proposed at a time; fewer where the sampler learns from their results."""
    most = preparation.together
    if most is None or problem.options.sampler in ENUMERATIONS:
        return most
    return min(most, LEARNING_TOGETHER)


def _evaluator(problem: Problem, part: Part, batch_size: int, cache_bytes: int, say: Say) -> Evaluator:
    settings = problem.options.backend if problem.shares_weights else BackendSettings()
    return Evaluator(
        problem.subject.lowered,
        part,
        batch_size=batch_size,
        own_metrics=problem.own_metrics,
        cache_bytes=cache_bytes // settings.processes,
        backend=build_backend(replace(settings, jobs=settings.processes), say),
    )


def _earlier(problem: Problem, run: RunDirectory, batch_size: int, say: Say) -> dict[Plan, Quality]:
    """What the runs beside this one measured under the same conditions."""
    quality = [name for name in problem.seen_metrics if is_quality(name)]
    task = problem.data.task
    others = [other for other in list_runs(run.path.parent) if other.path.resolve() != run.path.resolve()]
    same = conditions(problem, batch_size, torch.get_num_threads())
    return earlier_results(others, same, task, {leading(task).name, *quality, *problem.own_metrics}, say)


def _search(
    problem: Problem,
    store: TrialStore,
    facts: Mapping[str, object],
    scorer: Scorer,
    early: EarlyScores | None,
    show_progress: ShowProgress,
    sampler: Sampler | None,
) -> Loop:
    options = problem.options
    loss = LOSS in problem.seen_metrics
    together = _proposals(problem, scorer.preparation)
    wanted = problem.wanted_trials
    costs = problem.costs
    sampler = sampler or build_sampler(
        options.sampler,
        problem.space,
        seed=options.seed,
        wanted=wanted,
        known=Known(costs, problem.objectives, problem.constraints),
    )
    if options.part is not None:
        sampler = Share(sampler, *options.part)
        wanted = share_size(wanted, *options.part)
    if BATCH_FACT not in facts:  # with other batches a sampler that learns would propose other plans
        store.set_fact(BATCH_FACT, options.batch or together or sampler.default_batch)
    loop = Loop(
        problem.space,
        costs,
        sampler,
        scorer.evaluate,
        problem.objectives,
        problem.constraints,
        store,
        seed=options.seed,
        early_score=partial(early.evaluate, loss=loss) if early else None,
        least_chunk=together or 1,
    )
    try:
        with show_progress(wanted) as progress:
            batch = _whole_number(store.facts(), BATCH_FACT)
            loop.run(Budget(wanted, options.timeout_seconds, batch), progress)
    except DivergedError as error:
        changed = ", ".join(changed_versions(facts.get("environment"))) or "no version that is recorded"
        raise RunError(
            f"{error}: the {options.sampler} sampler does not repeat itself; changed since then: {changed}"
        ) from error
    if loop.tally.trials and loop.tally.failed == loop.tally.trials:
        raise all_failed(f"all {loop.tally.failed} trials failed", loop.tally.first_failure)
    return loop


def _whole_number(facts: Mapping[str, object], name: str) -> int:
    value = facts.get(name)
    if not isinstance(value, int):
        raise RunError(f"the run does not say its {name}; it was written by another version of narrower")
    return value
