"""From a finished search to the frozen record of what it found."""

from dataclasses import asdict

import numpy as np
from scipy.stats import spearmanr

from narrower.cost.network_cost import FLOAT_BITS
from narrower.cost.profile import profile
from narrower.evaluate.evaluator import Evaluator
from narrower.evaluate.intervals import wilson_interval
from narrower.evaluate.paired import is_more_accurate
from narrower.pipeline.problem import Problem
from narrower.plan import Plan, plan_to_dict
from narrower.report.record import LayerCost, Member, RunRecord, Summary
from narrower.searching.loop import Loop
from narrower.store.trial import Trial
from narrower.store.trials import TrialStore

CORRELATION_PLANS = 200
RIVALS = 5  # cheaper plans that a member of the front is compared with: the most accurate ones


def build_record(
    problem: Problem, loop: Loop, store: TrialStore, evaluator: Evaluator, seconds: float
) -> RunRecord:
    """Score the front's members on the test part, compare them with their rivals, and sum up."""
    test = Evaluator(evaluator.program, problem.data.test, batch_size=evaluator.batch_size)
    is_retrained = problem.retraining is not None
    rivals = _Rivals(problem, store)
    trials = list(store.trials([int(number) for number in loop.front.numbers]))
    members = []
    for trial in trials:
        plan = _plan(problem, trial)
        metrics, test_quality, certain = dict(trial.metrics), None, None
        if not is_retrained:  # the weights of a retrained candidate are not kept
            (quality,) = evaluator.evaluate([plan], loss=True)
            (test_quality,) = test.evaluate([plan])
            if quality.loss is not None:
                metrics["loss"] = quality.loss
            certain = rivals.is_certain(trial, evaluator)
        members.append(
            Member(
                number=trial.number,
                plan_index=trial.plan_index,
                plan=plan_to_dict(plan),
                metrics=metrics,
                scaled=problem.objectives.scaled(metrics),
                accuracy_interval=_interval(metrics["accuracy"], len(problem.part)),
                test_accuracy=test_quality.accuracy if test_quality else None,
                test_interval=test_quality.accuracy_interval if test_quality else None,
                equals=loop.front.equals[trial.number],
                certain=certain,
                layer_bitops=_layer_bitops(problem, plan),
                layer_bytes=_layer_bytes(problem, plan),
            )
        )
    members.sort(key=lambda member: problem.objectives.losses(member.metrics))
    return RunRecord(
        model=problem.model_name,
        data_set=problem.data.name,
        classes=len(problem.data.class_names),
        sampler=problem.options.sampler,
        samples=len(problem.part),
        part=problem.part_name,
        seed=problem.options.seed,
        objectives=tuple(
            {"metric": o.metric, "direction": o.direction, "scale": o.scale} for o in problem.objectives.each
        ),
        float32=_float32(problem, evaluator, test),
        members=tuple(members),
        summary=_summary(problem, loop, store, evaluator, seconds),
        warnings=tuple(unseen_widths(problem)),
        layers=_layers(problem),
        sum_direction=problem.objectives.sum_direction,
        constraints=tuple(asdict(constraint) for constraint in problem.constraints),
        worst_costs=_worst_costs(problem, loop),
    )


def _plan(problem: Problem, trial: Trial) -> Plan:
    return problem.space.plan(problem.space.options_at(trial.plan_index))


def _interval(accuracy: float, samples: int) -> tuple[float, float]:
    return wilson_interval(round(accuracy * samples), samples)


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


def _layer_bitops(problem: Problem, plan: Plan) -> dict[str, int] | None:
    if plan.widths:
        return None
    return {row.layer: row.bitops for row in profile(problem.program.network, plan=plan).layers}


def _layer_bytes(problem: Problem, plan: Plan) -> dict[str, float] | None:
    if plan.widths:
        return None
    return {
        layer.layer: layer.bytes - problem.cost.layer_saved_bits(layer.layer, plan.layer(layer.layer)) / 8
        for layer in _layers(problem)
    }


def _worst_costs(problem: Problem, loop: Loop) -> dict[str, float]:
    """For each cost among the objectives, the worst value that the space and its constraints allow."""
    ranges = loop.cost_ranges
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


def _float32(problem: Problem, evaluator: Evaluator, test: Evaluator) -> dict[str, float]:
    (quality,) = evaluator.evaluate([Plan()], loss=True)
    (on_test,) = test.evaluate([Plan()])
    values = {"accuracy": quality.accuracy, "test_accuracy": on_test.accuracy, **problem.cost.of(Plan())}
    return values if quality.loss is None else {**values, "loss": quality.loss}


def _summary(
    problem: Problem, loop: Loop, store: TrialStore, evaluator: Evaluator, seconds: float
) -> Summary:
    tally = loop.tally
    correlation, plans = _loss_accuracy_correlation(problem, store, evaluator)
    return Summary(
        space_size=problem.space.size,
        trials=tally.trials,
        exhausted=tally.exhausted,
        failed=tally.failed,
        replayed=tally.replayed,
        taken_over=evaluator.adopted,
        repeated=tally.repeated,
        drawn=tally.drawn,
        cut=dict(tally.cut),
        stopped=tally.stopped,
        seconds=seconds,
        evaluation_seconds=tally.evaluation_seconds,
        first_failure=tally.first_failure,
        loss_accuracy_rank_correlation=correlation,
        correlation_plans=plans,
    )


def _loss_accuracy_correlation(
    problem: Problem, store: TrialStore, evaluator: Evaluator
) -> tuple[float | None, int]:
    """Spearman's rank correlation of loss and accuracy over (at most 200 of) the trials."""
    chance = np.random.default_rng(problem.options.seed)
    numbers = np.sort(chance.permutation(store.count())[:CORRELATION_PLANS]).tolist()
    trials = [trial for trial in store.trials(numbers) if trial.state == "complete"]
    if problem.retraining is None:
        qualities = evaluator.evaluate([_plan(problem, trial) for trial in trials], loss=True)
        pairs = [(q.loss, q.accuracy) for q in qualities if q.loss is not None]
    else:
        pairs = [(t.metrics["loss"], t.metrics["accuracy"]) for t in trials if "loss" in t.metrics]
    if len({loss for loss, _ in pairs}) < 3 or len({accuracy for _, accuracy in pairs}) < 2:  # noqa: PLR2004
        return None, len(pairs)  # there are no ranks to compare
    return float(spearmanr(*zip(*pairs, strict=True)).statistic), len(pairs)


class _Rivals:
    """Says of a member of the front whether chance alone may have put it there."""

    def __init__(self, problem: Problem, store: TrialStore) -> None:
        each = problem.objectives.each
        names = [o.metric for o in each]
        self._problem = problem
        self._costs: list[str] = [name for name in names if name != "accuracy"]
        self._applies = "accuracy" in names and problem.objectives.sum_direction is None
        self._signs = np.array([o.sign for o in each if o.metric != "accuracy"])
        if self._applies:
            complete = (t for t in store.trials() if t.state == "complete")
            rows = [(t.number, t.metrics["accuracy"], *(t.metrics[n] for n in self._costs)) for t in complete]
            self._table = np.array(rows, dtype=float).reshape(len(rows), 2 + len(self._costs))
        self._store = store

    def is_certain(self, member: Trial, evaluator: Evaluator) -> bool | None:
        """Whether the member is more accurate, at 95 %, than every plan that is better in all else.

        None where accuracy is not one of several objectives.
        """
        if not self._applies:
            return None
        own = np.array([member.metrics[name] for name in self._costs]) * self._signs
        others = self._table[:, 2:] * self._signs
        better = (others <= own).all(axis=1) & (others < own).any(axis=1)
        rows = self._table[better]
        strongest = rows[np.argsort(-rows[:, 1], kind="stable")[:RIVALS], 0].astype(int).tolist()
        part, problem = self._problem.part, self._problem
        own_hits = evaluator.outputs(_plan(problem, member), part.inputs).argmax(dim=1) == part.targets
        for rival in self._store.trials(strongest):
            hits = evaluator.outputs(_plan(problem, rival), part.inputs).argmax(dim=1) == part.targets
            if not is_more_accurate(own_hits.numpy(), hits.numpy()):
                return False
        return True


def unseen_widths(problem: Problem) -> list[str]:
    """Warnings for what is searched although no objective and no constraint can see it."""
    sees = {
        "data_in_width": {"bitops"},
        "weight_width": {"bitops", "model_size", "average_bitwidth", "memory_density"},
        "bias_width": {"model_size"},
    }
    return [
        f"{key} is searched in {count} layers, but no objective or constraint sees these bits: "
        f"they look free (metrics that see them: {', '.join(sorted(metrics))})"
        for key, metrics in sees.items()
        if (count := _searched(problem, key)) and not metrics & problem.seen_metrics
    ]


def _searched(problem: Problem, key: str) -> int:
    choices = problem.space.choices
    return sum(choice.name.endswith(f".{key}") and len(choice.values) > 1 for choice in choices)
