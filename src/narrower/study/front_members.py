"""The members of a front: looked at on the test part, told from their rivals, measured and described."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isclose
from typing import TYPE_CHECKING, Protocol

from narrower.cost.network_cost import FLOAT_BITS
from narrower.cost.profile import profile
from narrower.evaluate.evaluator import Evaluator
from narrower.evaluate.intervals import with_intervals
from narrower.evaluate.measured import Measured as MeasuredMetric
from narrower.evaluate.measured import measured
from narrower.plan.plan import Plan, plan_to_dict
from narrower.report.record import Member
from narrower.searching.front import Front
from narrower.searching.objective import ARTEFACT_METRICS
from narrower.searching.plan_edges import plan_edges
from narrower.searching.tally import Tally
from narrower.store.run_directory import RunDirectory
from narrower.store.trial import Trial
from narrower.store.trials import TrialStore
from narrower.study.artefacts import Artefacts, Measured
from narrower.study.certainty import are_certain
from narrower.study.front_seeds import leaders
from narrower.study.measured_metrics import measured_metrics
from narrower.study.plan_evaluator import PlanEvaluator
from narrower.study.problem import Problem
from narrower.tasks.intervals import share_interval, value_of
from narrower.tasks.quality import Quality
from narrower.tasks.spread import Contributions, interval_of_trainings
from narrower.tasks.task import LOSS, SampleMetric, leading, spread_name

if TYPE_CHECKING:
    from narrower.study.members import Kept, Members


class Outcome(Protocol):
    """What a search leaves: the front with the numbers of its trials, and how it went."""

    front: Front
    tally: Tally

    @property
    def cost_ranges(self) -> Mapping[str, tuple[float, float]]:
        """Smallest and largest value of every cost over the whole space."""

    def plan(self, trial: Trial) -> Plan:
        """The plan of a trial."""


@dataclass(frozen=True, slots=True)
class _Looked:
    """What was seen of one member: scored again, on the test part, against its rivals, made again alone."""

    quality: Quality | None = None
    test: Quality | None = None
    is_certain: bool | None = None
    alone: "Kept | None" = None
    trainings: Contributions | None = None  # of the leading metric, with several seeds
    others: Mapping[str, MeasuredMetric] = field(default_factory=dict)  # all but the leading metric
    test_others: Mapping[str, MeasuredMetric] = field(default_factory=dict)


def members_alone(problem: Problem, plan_evaluator: PlanEvaluator, evaluator: Evaluator) -> "Members | None":
    """What makes members again, each alone; None where all plans share the model's weights."""
    if problem.shares_weights:
        return None
    from narrower.study.members import Members  # Lightning takes seconds to import

    return Members(problem, plan_evaluator.preparation, evaluator.batch_size, plan_evaluator.elsewhere)


def front_members(
    problem: Problem,
    loop: Outcome,
    store: TrialStore,
    evaluator: Evaluator,
    test: Evaluator,
    alone: "Members | None",
    run: RunDirectory,
) -> tuple[Member, ...]:
    """The members, by their losses; weights of their own are kept below ``models/`` of the run."""
    trials = list(store.trials([int(number) for number in loop.front.numbers]))
    plans = [loop.plan(trial) for trial in trials]
    if alone is None:
        scored = with_intervals(evaluator, plans, loss=True)
        evaluator.release()
        on_test = with_intervals(test, plans)
        test.release()
        certain = are_certain(problem, store, trials, evaluator)
        looked = [_Looked(*each) for each in zip(scored, on_test, certain, strict=True)]
    elif loop.tally.stopped == "interrupted" and not problem.preparation.proposes:
        looked = [_Looked() for _ in plans]  # who stops the search does not wait for more training
    else:
        kept = [alone.keep(plan, run.member(t.number)) for t, plan in zip(trials, plans, strict=True)]
        looked = _with_seeds(problem, alone, trials, plans, kept)
    if loop.tally.stopped != "interrupted":
        looked = [
            _with_others(problem, plan, each, evaluator, test)
            for plan, each in zip(plans, looked, strict=True)
        ]
    artefacts_of = _artefacts(problem, plans, evaluator, [each.alone for each in looked], loop.tally.stopped)
    members = [
        _member(problem, trial, plan, seen, artefacts, loop.front.equals[trial.number], run)
        for trial, plan, seen, artefacts in zip(trials, plans, looked, artefacts_of, strict=True)
    ]
    return tuple(sorted(members, key=lambda member: problem.objectives.losses(member.metrics)))


def _with_seeds(
    problem: Problem,
    alone: "Members",
    trials: Sequence[Trial],
    plans: Sequence[Plan],
    kept: "Sequence[Kept]",
) -> list[_Looked]:
    """Members that were made; where it is asked for, with how far trainings with other seeds end apart."""
    trainings = alone.trainings(plans, kept)
    if trainings is None:
        return [_Looked(test=each.test, alone=each) for each in kept]
    rows = [(trial.metrics, own) for trial, own in zip(trials, trainings, strict=True)]
    certain = leaders(problem.objectives, leading(problem.data.task), rows)
    return [
        _Looked(None, each.test, leads, each, own)
        for each, leads, own in zip(kept, certain, trainings, strict=True)
    ]


def _with_others(
    problem: Problem, plan: Plan, looked: _Looked, evaluator: Evaluator, test: Evaluator
) -> _Looked:
    """With all metrics but the leading one, on the samples of the search and on the test part."""
    if looked.test is None or looked.test.failure is not None:
        return looked
    wanted, formats = measured_metrics(problem), plan
    if looked.alone is not None:
        program, size, formats = looked.alone.program, evaluator.batch_size, plan.formats
        evaluator = Evaluator(program, problem.part, batch_size=size)
        test = Evaluator(program, problem.data.test, batch_size=size)
    return replace(
        looked,
        others=measured(evaluator, formats, wanted),
        test_others=measured(test, formats, wanted),
    )


def _intervals(
    metrics: Mapping[str, float], others: Mapping[str, MeasuredMetric]
) -> dict[str, tuple[float, float]]:
    """Intervals of the values that are shown; what was measured of other weights is none of them."""
    return {
        name: other.interval
        for name, other in others.items()
        if other.interval is not None
        and isclose(metrics.get(name, other.value), other.value, rel_tol=1e-6, abs_tol=1e-9)
    }


def _member(
    problem: Problem,
    trial: Trial,
    plan: Plan,
    seen: _Looked,
    artefacts: Measured,
    equals: int,
    run: RunDirectory,
) -> Member:
    task = problem.data.task
    metric, alone, is_learned = leading(task), seen.alone, problem.preparation.proposes
    metrics = {**artefacts.values, **trial.metrics}
    was_apart = not is_learned and alone is not None and alone.was_made_again
    if is_learned and alone is not None:  # nothing was trained again
        metrics[LOSS] = alone.quality.metrics[LOSS]
        was_apart = alone.quality.metrics[metric.name] != metrics[metric.name]
    if seen.quality is not None and LOSS in seen.quality.metrics:
        metrics[LOSS] = seen.quality.metrics[LOSS]
    apart = alone.quality.metrics if alone is not None and was_apart else {}
    return Member(
        number=trial.number,
        plan_index=trial.plan_index,
        plan=plan_to_dict(plan),
        metrics=metrics,
        scaled=problem.objectives.scaled(metrics),
        interval=_own_interval(metric, trial, seen, problem.samples),
        test_value=seen.test.metrics[metric.name] if seen.test else None,
        test_interval=seen.test.interval if seen.test else None,
        equals=equals,
        certain=seen.is_certain,
        layer_bitops=_layer_bitops(problem, plan),
        layer_bytes=_layer_bytes(problem, plan),
        alone_value=apart.get(metric.name),
        alone_spread=apart.get(spread_name(task)),
        weights=str(run.member(trial.number).relative_to(run.path)) if alone else None,
        latency=artefacts.latency,
        unmeasured=artefacts.reasons,
        seed_values=tuple(value_of(metric, own) for own in seen.trainings)
        if seen.trainings is not None
        else (),
        edges=plan_edges(problem.resized_cost(plan.widths), plan.formats),
        intervals=_intervals(metrics, seen.others),
        on_test={name: other.value for name, other in seen.test_others.items()},
        on_test_intervals=_intervals({}, seen.test_others),
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
    metric: SampleMetric, trial: Trial, seen: _Looked, samples: int
) -> tuple[float, float] | None:
    """The interval of what a trial was scored with; None where its weights are gone."""
    if seen.trainings is not None:
        return interval_of_trainings(metric, seen.trainings)
    scored = seen.alone.quality if seen.alone is not None else seen.quality
    if metric.is_share:
        return share_interval(trial.metrics[metric.name], samples)
    return scored.interval if scored is not None else None


def _layer_bitops(problem: Problem, plan: Plan) -> dict[str, int]:
    network = problem.resized_network(plan.widths)
    return {row.layer: row.bitops for row in profile(network, plan=plan.formats).layers}


def _layer_bytes(problem: Problem, plan: Plan) -> dict[str, float]:
    cost = problem.resized_cost(plan.widths)
    return {
        row.layer: (row.parameters * FLOAT_BITS - cost.layer_saved_bits(row.layer, plan.layer(row.layer))) / 8
        for row in profile(cost.network).layers
    }
