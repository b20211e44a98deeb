"""From a finished search to the frozen record of what it found."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Protocol

import numpy as np

from narrower.cost.network_cost import FLOAT_BITS
from narrower.cost.profile import profile
from narrower.evaluate.evaluator import Evaluator
from narrower.evaluate.intervals import with_intervals
from narrower.plan.plan import Plan, plan_to_dict
from narrower.preparation.settings import CandidateSettings, LearnedSettings
from narrower.report.record import LayerCost, Member, RunRecord, Summary
from narrower.searching.front import Front
from narrower.searching.loop import Tally
from narrower.searching.objective import ARTEFACT_METRICS
from narrower.searching.space import widest_of
from narrower.store.run_directory import RunDirectory
from narrower.store.trial import Trial
from narrower.store.trials import TrialStore
from narrower.study.artefacts import Artefacts, Measured
from narrower.study.certainty import are_certain
from narrower.study.plan_evaluator import PlanEvaluator
from narrower.study.problem import Problem
from narrower.study.rank_correlation import rank_correlation
from narrower.tasks.intervals import share_interval
from narrower.tasks.quality import Quality
from narrower.tasks.task import LOSS, SampleMetric, leading, spread_name

if TYPE_CHECKING:
    from narrower.study.members import Kept, Members

CORRELATION_PLANS = 100
WEIGHT_COSTS = ("bitops", "energy", "model_size", "average_bitwidth", "memory_density")


class Outcome(Protocol):
    """What a search leaves: the front with the numbers of its trials, and how it went."""

    front: Front
    tally: Tally

    @property
    def cost_ranges(self) -> Mapping[str, tuple[float, float]]:
        """Smallest and largest value of every cost over the whole space."""

    def plan(self, trial: Trial) -> Plan:
        """The plan of a trial."""


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
    test = Evaluator(evaluator.program, problem.data.test, batch_size=evaluator.batch_size)
    trials = list(store.trials([int(number) for number in loop.front.numbers]))
    plans = [loop.plan(trial) for trial in trials]
    is_learned = isinstance(problem.preparation, LearnedSettings)
    metric = leading(problem.data.task)
    scored: list[Quality | None] = [None] * len(plans)
    on_test: list[Quality | None] = [None] * len(plans)
    certain: list[bool | None] = [None] * len(plans)
    kept: list[Kept | None] = [None] * len(plans)
    members_alone = None
    if not problem.shares_weights:
        from narrower.study.members import Members  # Lightning takes seconds to import

        members_alone = Members(problem, plan_evaluator.preparation, evaluator.batch_size)
        # Who stops the search does not wait for more training.
        if is_learned or loop.tally.stopped != "interrupted":
            kept = [
                members_alone.keep(plan, run.member(trial.number))
                for trial, plan in zip(trials, plans, strict=True)
            ]
            on_test = [member.test if member else None for member in kept]
    else:
        scored = [*with_intervals(evaluator, plans, loss=True)]
        on_test = [*with_intervals(test, plans)]
        certain = are_certain(problem, store, trials, evaluator)
    measured = _artefacts(problem, plans, evaluator, kept, loop.tally.stopped)
    members = []
    for trial, plan, quality, test_quality, is_certain, alone, artefacts in zip(
        trials, plans, scored, on_test, certain, kept, measured, strict=True
    ):
        metrics = {**artefacts.values, **trial.metrics}
        was_apart = not is_learned and alone is not None and alone.was_made_again
        if is_learned and alone is not None:  # nothing was trained again
            metrics[LOSS] = alone.quality.metrics[LOSS]
            was_apart = alone.quality.metrics[metric.name] != metrics[metric.name]
        if quality is not None and LOSS in quality.metrics:
            metrics[LOSS] = quality.metrics[LOSS]
        members.append(
            Member(
                number=trial.number,
                plan_index=trial.plan_index,
                plan=plan_to_dict(plan),
                metrics=metrics,
                scaled=problem.objectives.scaled(metrics),
                interval=_own_interval(metric, trial, alone.quality if alone else quality, len(problem.part)),
                test_value=test_quality.metrics[metric.name] if test_quality else None,
                test_interval=test_quality.interval if test_quality else None,
                equals=loop.front.equals[trial.number],
                certain=is_certain,
                layer_bitops=_layer_bitops(problem, plan),
                layer_bytes=_layer_bytes(problem, plan),
                alone_value=alone.quality.metrics[metric.name] if alone and was_apart else None,
                alone_spread=alone.quality.metrics.get(spread_name(problem.data.task))
                if alone and was_apart
                else None,
                weights=str(run.member(trial.number).relative_to(run.path)) if alone else None,
                latency=artefacts.latency,
                unmeasured=artefacts.reasons,
            )
        )
    members.sort(key=lambda member: problem.objectives.losses(member.metrics))
    return RunRecord(
        model=problem.model_name,
        data_set=problem.data.name,
        outputs=len(problem.data.output_names),
        sampler=problem.options.sampler,
        samples=len(problem.part),
        part=problem.part_name,
        seed=problem.options.seed,
        objectives=tuple(
            {"metric": o.metric, "direction": o.direction, "scale": o.scale} for o in problem.objectives.each
        ),
        float32=_float32(problem, evaluator, test, plan_evaluator, members_alone),
        members=tuple(members),
        summary=_summary(problem, loop, store, evaluator, plan_evaluator, time.monotonic() - started),
        warnings=tuple(unseen_widths(problem)),
        output_names=problem.data.output_names,
        loss=problem.loss.name,
        task=problem.data.task.words.name,
        layers=_layers(problem),
        sum_direction=problem.objectives.sum_direction,
        constraints=tuple(asdict(constraint) for constraint in problem.constraints),
        worst_costs=worst_costs(problem, loop.cost_ranges),
    )


def _artefacts(
    problem: Problem,
    plans: Sequence[Plan],
    evaluator: Evaluator,
    kept: "Sequence[Kept | None]",
    stopped: str,
) -> list[Measured]:
    """What is to be measured on the artefacts of the front's members."""
    wanted = [name for name in ARTEFACT_METRICS if name in problem.options.measure_front]
    if not wanted or stopped == "interrupted":
        return [Measured()] * len(plans)
    shared = Artefacts(problem, evaluator.program)
    return [
        (Artefacts(problem, alone.program) if alone else shared).measure(plan, wanted)
        for plan, alone in zip(plans, kept, strict=True)
    ]


def _own_interval(
    metric: SampleMetric, trial: Trial, scored: Quality | None, samples: int
) -> tuple[float, float] | None:
    """The interval of what a trial was scored with; None where its weights are gone."""
    if metric.is_share:
        return share_interval(trial.metrics[metric.name], samples)
    return scored.interval if scored is not None else None


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


def _layer_bitops(problem: Problem, plan: Plan) -> dict[str, int]:
    network = problem.resized_network(plan.widths)
    return {row.layer: row.bitops for row in profile(network, plan=plan.formats).layers}


def _layer_bytes(problem: Problem, plan: Plan) -> dict[str, float]:
    cost = problem.resized_cost(plan.widths)
    return {
        row.layer: (row.parameters * FLOAT_BITS - cost.layer_saved_bits(row.layer, plan.layer(row.layer))) / 8
        for row in profile(cost.network).layers
    }


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
) -> dict[str, float]:
    """The model as it is; where candidates are trained, trained as they are."""
    if members is not None and problem.preparation.trains_float32:
        (quality,) = plan_evaluator.evaluate([Plan()])
        on_test = members.keep(Plan(), None).test
    else:
        (quality,) = evaluator.evaluate([Plan()], loss=True)
        (on_test,) = test.evaluate([Plan()])
    name = leading(problem.data.task).name
    values = {
        name: quality.metrics[name],
        f"test_{name}": on_test.metrics[name],
        **problem.cost.of(Plan()),
    }
    return values if LOSS not in quality.metrics else {**values, LOSS: quality.metrics[LOSS]}


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
        saved_share=tally.saved_samples / max(1, tally.trials * len(problem.part)),
        jobs=problem.backend.processes if problem.shares_weights else 1,
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


def unseen_widths(problem: Problem) -> list[str]:
    """Warnings for what is searched although no objective and no constraint can see it."""
    sees = {
        "data_in_width": {"bitops", "energy", *ARTEFACT_METRICS},
        "weight_width": {*WEIGHT_COSTS, *ARTEFACT_METRICS},
        "bias_width": {"model_size", "luts"},
        "channel_multiplier": {"macs", "flops", "bitops", "energy", "model_size"},
    }
    return (
        problem.ending_warnings
        + _untraced(problem)
        + _extrapolated(problem)
        + _useless_growth(problem)
        + [
            f"{key} is searched in {count} layers, but no objective or constraint sees these bits: "
            f"they look free (metrics that see them: {', '.join(sorted(metrics))})"
            for key, metrics in sees.items()
            if (count := _searched(problem, key)) and not metrics & problem.seen_metrics
        ]
    )


def _untraced(problem: Problem) -> list[str]:
    untraced = problem.program.untraced
    if untraced is None:
        return []
    return [
        f"{untraced.reason}; its plans are scored module by module; costs are those of the modules "
        "that it calls for the first samples, and it cannot be exported"
    ]


def _extrapolated(problem: Problem) -> list[str]:
    """Energy of widths that the table does not have."""
    if "energy" not in problem.seen_metrics:
        return []
    return [
        "energy: the source has 8 x 8 and 32 x 32 bits and float32 (45 nm, Horowitz 2014); for all other "
        "widths it is an extrapolation"
    ]


def _useless_growth(problem: Problem) -> list[str]:
    settings = problem.preparation
    grows = any(widest > 1 for slot in problem.space.slots for widest in widest_of(slot).values())
    cuts = isinstance(settings, CandidateSettings) and settings.weights == "slice"
    if not (cuts and grows) or settings.trains_float32:
        return []
    return [
        "multipliers above 1 add channels with random weights, and nothing is trained; "
        "weights = 'net2net' keeps the outputs when growing"
    ]


def _searched(problem: Problem, key: str) -> int:
    choices = problem.space.choices
    return sum(choice.name.endswith(f".{key}") and len(choice.values) > 1 for choice in choices)
