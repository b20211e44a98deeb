"""From a finished search to the frozen record of what it found."""

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from narrower.cost.network_cost import FLOAT_BITS
from narrower.cost.profile import profile
from narrower.evaluate.evaluator import Evaluator
from narrower.evaluate.held_out import held_out
from narrower.evaluate.intervals import with_intervals
from narrower.evaluate.measured import measured
from narrower.plan.plan import Plan
from narrower.preparation.groups import InGroups
from narrower.preparation.in_folds import InFolds
from narrower.preparation.preparation import Preparation
from narrower.report.record import DrawnOperator, LayerCost, RunRecord, Summary
from narrower.store.run_directory import RunDirectory
from narrower.store.trials import TrialStore
from narrower.study.front_members import Outcome, front_members, members_alone
from narrower.study.measured_metrics import measured_metrics
from narrower.study.plan_evaluator import PlanEvaluator
from narrower.study.problem import Problem
from narrower.study.rank_correlation import rank_correlation
from narrower.study.scoring import held_out_of
from narrower.study.unseen import unseen_widths
from narrower.tasks.described import description_of
from narrower.tasks.intervals import interval_words
from narrower.tasks.task import LOSS, leading

if TYPE_CHECKING:
    from narrower.study.members import Members

CORRELATION_PLANS = 100


def examine_front(
    problem: Problem,
    loop: Outcome,
    store: TrialStore,
    evaluator: Evaluator,
    plan_evaluator: PlanEvaluator,
    run: RunDirectory,
    started: float,
) -> RunRecord:
    """Score the front's members on the test part, compare them with their rivals, and sum up.

    ``started`` is when the search began, by the monotonic clock. Candidates with weights of their own are
    trained again, alone, and kept below ``models/`` of the run.
    """
    test = Evaluator(
        evaluator.program,
        problem.data.test,
        batch_size=evaluator.batch_size,
        cache_bytes=evaluator.cache_bytes,
    )
    alone = members_alone(problem, plan_evaluator, evaluator)
    members = front_members(problem, loop, store, evaluator, test, alone, run)
    float32, float32_intervals = _float32(problem, evaluator, test, plan_evaluator, alone)
    return RunRecord(
        model=problem.model_name,
        data_set=problem.data.name,
        outputs=len(problem.data.output_names),
        sampler=problem.options.sampler,
        samples=problem.samples,
        part=problem.scored_words,
        seed=problem.options.seed,
        objectives=tuple(
            {"metric": o.metric, "direction": o.direction, "scale": o.scale} for o in problem.objectives.each
        ),
        float32=float32,
        float32_intervals=float32_intervals,
        interval_notes={
            metric.name: interval_words(metric, problem.samples)
            for metric in (leading(problem.data.task), *measured_metrics(problem))
        },
        members=members,
        summary=_summary(problem, loop, store, evaluator, plan_evaluator, time.monotonic() - started),
        warnings=tuple(unseen_widths(problem)),
        output_names=problem.data.output_names,
        loss=problem.loss.name,
        task=problem.data.task.words.name,
        task_metrics=description_of(problem.data.task),
        layers=_layers(problem),
        network=_network(problem),
        sum_direction=problem.objectives.sum_direction,
        constraints=tuple(asdict(constraint) for constraint in problem.constraints),
        worst_costs=worst_costs(problem, loop.cost_ranges),
    )


def _network(problem: Problem) -> tuple[DrawnOperator, ...]:
    return tuple(
        DrawnOperator(
            operator.name,
            operator.kind,
            operator.layer,
            operator.inputs,
            tuple(size for size in operator.output_shape if isinstance(size, int)),
        )
        for operator in problem.program.network.operators
    )


def _layers(problem: Problem) -> tuple[LayerCost, ...]:
    return tuple(
        LayerCost(
            row.layer,
            row.kind,
            row.parameters,
            row.macs,
            row.flops,
            row.bitops,
            row.parameters * FLOAT_BITS / 8,
        )
        for row in profile(problem.program.network).layers
    )


def worst_costs(problem: Problem, ranges: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    """For each cost among the objectives, the worst value that the space and its constraints allow.

    ``ranges`` are the smallest and largest value of every cost over the whole space.
    """
    bounds = {constraint.metric: constraint for constraint in problem.constraints}
    worst = {}
    for objective in problem.objectives.each:
        if objective.metric not in ranges:
            continue
        low, high = ranges[objective.metric]
        bound = bounds.get(objective.metric)
        if objective.direction == "maximize":
            limit = bound.minimum if bound else None
            worst[objective.metric] = low if limit is None else max(low, limit)
        else:
            limit = bound.maximum if bound else None
            worst[objective.metric] = high if limit is None else min(high, limit)
    return worst


def _float32(
    problem: Problem,
    evaluator: Evaluator,
    test: Evaluator,
    plan_evaluator: PlanEvaluator,
    members: "Members | None",
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """The model as it is; where candidates are trained, trained as they are."""
    if members is not None and problem.preparation.trains_float32:
        (quality,) = plan_evaluator.evaluate([Plan()])
        on_test = members.keep(Plan(), None).test
    else:
        if isinstance(plan_evaluator.preparation, InFolds):  # as plans are scored
            floats = held_out_of(plan_evaluator.preparation.floats())
            quality = held_out(floats, evaluator.batch_size, problem.own_metrics).quality
        else:
            (quality,) = evaluator.evaluate([Plan()], loss=True)
            evaluator.release()
        (on_test,) = test.evaluate([Plan()])
        test.release()
    name = leading(problem.data.task).name
    values = {
        name: quality.metrics[name],
        f"test_{name}": on_test.metrics[name],
        **problem.cost.of(Plan()),
    }
    if LOSS in quality.metrics:
        values[LOSS] = quality.metrics[LOSS]
    if members is not None and (problem.preparation.trains_float32 or problem.is_cross_validated):
        return values, {}  # its weights are gone
    return _with_others(problem, values, evaluator, test)


def _with_others(
    problem: Problem, values: dict[str, float], evaluator: Evaluator, test: Evaluator
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """With the other metrics of the samples, and the intervals of all of them."""
    metric, others = leading(problem.data.task), measured_metrics(problem)
    bounds: dict[str, tuple[float, float]] = {}
    for prefix, one in (("", evaluator), ("test_", test)):
        (quality,) = with_intervals(one, [Plan()])
        if quality.interval is not None:
            bounds[f"{prefix}{metric.name}"] = quality.interval
        for name, found in measured(one, Plan(), others).items():
            values.setdefault(f"{prefix}{name}", found.value)
            if found.interval is not None:
                bounds[f"{prefix}{name}"] = found.interval
    return values, bounds


def _summary(
    problem: Problem,
    loop: Outcome,
    store: TrialStore,
    evaluator: Evaluator,
    plan_evaluator: PlanEvaluator,
    seconds: float,
) -> Summary:
    tally = loop.tally
    correlation, plans = _correlation(problem, loop, store, evaluator)
    return Summary(
        space_size=max(problem.space.size, tally.trials),  # what a training proposes is no space
        trials=tally.trials,
        exhausted=tally.exhausted,
        failed=tally.failed,
        replayed=tally.replayed,
        taken_over=plan_evaluator.adopted,
        repeated=tally.repeated,
        drawn=tally.drawn,
        cut=dict(tally.cut),
        stopped=tally.stopped,
        seconds=seconds,
        evaluation_seconds=tally.evaluation_seconds,
        first_failure=tally.first_failure,
        loss_rank_correlation=correlation,
        correlation_plans=plans,
        dominated=tally.dominated,
        saved_share=tally.saved_samples / max(1, tally.trials * problem.samples),
        jobs=problem.backend.processes if _is_shared_out(problem, plan_evaluator.preparation) else 1,
        note=tally.note,
        training=plan_evaluator.preparation.words,
    )


def _correlation(
    problem: Problem, loop: Outcome, store: TrialStore, evaluator: Evaluator
) -> tuple[float | None, int]:
    """Spearman's rank correlation of the loss and the leading metric over (at most 100 of) the trials."""
    name = leading(problem.data.task).name
    chance = np.random.default_rng(problem.options.seed)
    numbers = np.sort(chance.permutation(store.count())[:CORRELATION_PLANS]).tolist()
    trials = [trial for trial in store.trials(numbers) if trial.state == "complete"]
    if problem.shares_weights:
        qualities = evaluator.evaluate([loop.plan(trial) for trial in trials], loss=True)
        found = [quality.metrics for quality in qualities]
    else:
        found = [trial.metrics for trial in trials]
    pairs = [(metrics[LOSS], metrics[name]) for metrics in found if LOSS in metrics]
    if len({loss for loss, _ in pairs}) < 3 or len({value for _, value in pairs}) < 2:  # noqa: PLR2004
        return None, len(pairs)  # there are no ranks to compare
    return rank_correlation(*zip(*pairs, strict=True)), len(pairs)


def _is_shared_out(problem: Problem, preparation: Preparation) -> bool:
    """Whether processes share what plans take."""
    return problem.shares_weights or isinstance(preparation, InGroups)
