"""Compare samplers on one problem: every sampler with every seed, on qualities that are computed once."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch

from narrower.errors import SettingsError
from narrower.evaluate.batch_size import fitting_batch_size
from narrower.evaluate.evaluator import Evaluator
from narrower.evaluate.sample_engine import all_failed
from narrower.searching.costs import broken
from narrower.searching.samplers.sampler import Losses
from narrower.store.provenance import environment
from narrower.study.comparison.conclusion import conclude
from narrower.study.comparison.contest import Contest, Trace
from narrower.study.comparison.progress import steps
from narrower.study.comparison.quality_book import QualityBook, admitted, losses
from narrower.study.comparison.record import Comparison, Conclusion, SamplerRun, Setup
from narrower.study.comparison.summary import pair_tests, summaries
from narrower.study.comparison.workers import run_entries
from narrower.study.comparison.yardstick import Yardstick, objective_names, objective_signs, yardstick
from narrower.study.evaluators import build_plan_evaluator
from narrower.study.problem import Problem
from narrower.study.record import worst_costs
from narrower.study.run_facts import conditions
from narrower.study.sensitivity_start import first_plans
from narrower.tasks.task import chances

DEFAULT_TRIALS = 300
ENUMERATION_LIMIT = 10_000  # plans up to which a space is enumerated for its exact front
PLANS_ALONE = 16  # scored one at a time, to learn how long that takes
CHUNK = 512  # plans that are scored between two reports of progress
CHECKPOINTS = 100

Report = Callable[[str, int, int], None]  # what is done, how much of it, of how much


def compare_samplers(
    problem: Problem,
    samplers: Sequence[str],
    seeds: Sequence[int],
    *,
    trials: int | None = None,
    enumeration_limit: int | None = None,
    jobs: int = 1,
    report: Report,
) -> Comparison:
    """Run each sampler with each seed and sum up.

    ``trials`` are those of the problem's settings, or 300, unless given. Spaces up to ``enumeration_limit``
    plans are enumerated first, so that their exact front is known; unless it is given, that are 10,000 plans,
    and none where each candidate is trained before it is scored. The result does not depend on ``jobs``, the
    number of processes, apart from times.

    Raises:
        AllTrialsFailedError: no plan could be scored.
        SettingsError: there is nothing to compare.
    """
    _check_has_samplers(problem)
    began = time.monotonic()
    space = problem.space
    wanted = min(trials or problem.options.trials or DEFAULT_TRIALS, space.size)
    if enumeration_limit is None:
        enumeration_limit = ENUMERATION_LIMIT if problem.shares_weights else 0
    evaluator = _evaluator(problem)
    contest = _contest(problem, wanted, evaluator.batch_size)
    book = QualityBook(build_plan_evaluator(problem, evaluator).evaluate)
    plan_seconds = _seconds_alone(contest, book, problem.options.seed)
    is_exact = space.size <= enumeration_limit
    basis = _score_all(contest, book, report) if is_exact else []
    traces = _searched(
        contest, book, [(sampler, seed) for sampler in samplers for seed in seeds], jobs, report
    )
    if not is_exact:
        basis = sorted({plan for trace in traces for plan in trace.plans})
    rows = [row for row in admitted(contest, book.metrics(contest, basis)) if row is not None]
    reference = _reference(problem, contest, rows, is_exact)
    known = np.array([row for row in losses(contest, rows) if row is not None])
    measure = yardstick(known, problem.objectives, reference)
    setup = Setup(
        **_posed(problem),
        samplers=tuple(samplers),
        seeds=tuple(seeds),
        trials=wanted,
        basis="exact" if is_exact else "union",
        basis_plans=len(rows),
        enumeration_limit=enumeration_limit,
        front_size=len(measure.front),
        reference=reference,
        best=_best(problem, measure),
        scored=len(book),
        plan_seconds=plan_seconds,
        jobs=jobs,
        seconds=time.monotonic() - began,
        environment=environment() | conditions(problem, evaluator.batch_size, torch.get_num_threads()),
    )
    return _summed_up(setup, _runs(contest, book, traces, measure, plan_seconds))


def _check_has_samplers(problem: Problem) -> None:
    if problem.preparation.proposes:
        raise SettingsError(
            "search.strategy.setup.sampler: where widths are learned, one training proposes all plans; there "
            "are no samplers to compare"
        )


def _evaluator(problem: Problem) -> Evaluator:
    return Evaluator(
        problem.subject.lowered,
        problem.part,
        batch_size=fitting_batch_size(problem.subject.lowered, len(problem.part)),
        own_metrics=problem.own_metrics,
    )


def _contest(problem: Problem, trials: int, batch_size: int) -> Contest:
    return Contest(
        problem.space,
        problem.costs,
        problem.objectives,
        problem.constraints,
        trials,
        problem.options.batch,
        tuple(first_plans(problem, batch_size)),
    )


def _posed(problem: Problem) -> dict[str, Any]:
    """What is searched, as a setup records it."""
    return {
        "model": problem.model_name,
        "data_set": problem.data.name,
        "part": problem.part_name,
        "samples": len(problem.part),
        "space_size": problem.space.size,
        "space_hash": problem.space.content_hash,
        "objectives": tuple(asdict(objective) for objective in problem.objectives.each),
        "sum_direction": problem.objectives.sum_direction,
        "constraints": tuple(asdict(constraint) for constraint in problem.constraints),
    }


def _searched(
    contest: Contest, book: QualityBook, entries: Sequence[tuple[str, int]], jobs: int, report: Report
) -> list[Trace]:
    """Run every search; each plan is scored once for all of them.

    Raises:
        AllTrialsFailedError: no plan could be scored.
    """
    traces = run_entries(
        contest,
        entries,
        book.score,
        jobs=jobs,
        report=lambda done: report("searches", done, len(entries)),
    )
    if book.failure is not None:
        raise all_failed(f"all {len(book)} plans failed", book.failure)
    return traces


def checkpoints(trials: int) -> tuple[int, ...]:
    """Numbers of trials at which runs are compared: evenly spaced, and more of them at the beginning."""
    spread = [np.linspace(1, trials, CHECKPOINTS), np.geomspace(1, trials, CHECKPOINTS // 2)]
    return tuple(np.unique(np.concatenate(spread).round().astype(int)).tolist())


def _seconds_alone(contest: Contest, book: QualityBook, seed: int) -> float:
    space, chance = contest.space, np.random.default_rng(seed)
    drawn = {tuple(int(chance.integers(count)) for count in space.counts) for _ in range(PLANS_ALONE)}
    return book.seconds_alone([space.plan(options) for options in sorted(drawn)])


def _score_all(contest: Contest, book: QualityBook, report: Report) -> list[int]:
    """Score every plan whose cost is admitted; their numbers."""
    every = list(contest.space.enumerate())
    reasons = broken(contest.constraints, contest.costs.of(every), len(every))
    chosen = [number for number, reason in enumerate(reasons) if reason is None]
    for start in range(0, len(chosen), CHUNK):
        book.score([contest.space.plan(every[number]) for number in chosen[start : start + CHUNK]])
        report("plans", min(start + CHUNK, len(chosen)), len(chosen))
    return chosen


def _reference(
    problem: Problem, contest: Contest, rows: Sequence[Mapping[str, float]], is_exact: bool
) -> dict[str, float]:
    """For each objective the value from which on a plan counts: chance, and the dearest admitted plan.

    Of a space that is not enumerated the dearest plan is the worst cost that ranges and bounds allow. What
    has no such value by its nature (a metric of the user's own) counts from the worst known plan on.
    """
    values = chances(problem.data.task.metrics, len(problem.data.output_names))
    if not is_exact:
        values |= worst_costs(problem, contest.costs.ranges())
    return {
        o.metric: values[o.metric]
        if o.metric in values
        else (min if o.direction == "maximize" else max)((row[o.metric] for row in rows), default=0.0)
        for o in problem.objectives.each
    }


def _best(problem: Problem, measure: Yardstick) -> dict[str, float]:
    values = measure.best * objective_signs(problem.objectives)
    return dict(zip(objective_names(problem.objectives), values.tolist(), strict=True))


def _runs(
    contest: Contest, book: QualityBook, traces: Sequence[Trace], measure: Yardstick, plan_seconds: float
) -> tuple[SamplerRun, ...]:
    tried = sorted({plan for trace in traces for plan in trace.plans})
    rows = admitted(contest, book.metrics(contest, tried))
    by_plan = dict(zip(tried, losses(contest, rows), strict=True))
    return tuple(_run(contest, trace, by_plan, measure, plan_seconds) for trace in traces)


def _run(
    contest: Contest,
    trace: Trace,
    by_plan: Mapping[int, Losses | None],
    measure: Yardstick,
    plan_seconds: float,
) -> SamplerRun:
    seconds = [own + number * plan_seconds for number, own in enumerate(trace.sampler_seconds, start=1)]
    last = len(trace.plans) - 1
    at = [min(trials - 1, last) for trials in checkpoints(contest.trials)]
    return SamplerRun(
        sampler=trace.sampler,
        seed=trace.seed,
        trials=len(trace.plans),
        steps=steps(
            [by_plan[plan] for plan in trace.plans],
            seconds,
            measure,
            objective_names(contest.objectives),
            objective_signs(contest.objectives),
        ),
        repeated=tuple(trace.repeats[position] for position in at),
        sampler_seconds=tuple(trace.sampler_seconds[position] for position in at),
        drawn=trace.drawn,
        not_admitted=trace.not_admitted,
        failed=trace.failed,
    )


def _summed_up(setup: Setup, runs: tuple[SamplerRun, ...]) -> Comparison:
    bare: Any = {"summaries": (), "tests": (), "conclusion": Conclusion("", ())}
    comparison = Comparison(setup, checkpoints(setup.trials), runs, **bare)
    comparison = replace(comparison, summaries=summaries(comparison), tests=pair_tests(comparison))
    return replace(comparison, conclusion=conclude(comparison))
