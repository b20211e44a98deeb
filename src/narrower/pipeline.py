"""The whole program on one page: from settings to a front."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr
from torch import nn

from narrower.cost.network_cost import NetworkCost
from narrower.errors import AllTrialsFailedError, RunError, SettingsError
from narrower.evaluate.calibration import Calibration
from narrower.evaluate.evaluator import Evaluator
from narrower.graph.lower import lower
from narrower.graph.program import Program
from narrower.graph.trace import trace
from narrower.plan import Plan, plan_to_dict
from narrower.report.record import Member, RunRecord, Summary
from narrower.search.build_space import build_space
from narrower.search.costs import SpaceCosts
from narrower.search.loop import Budget, Loop, Progress
from narrower.search.objective import METRICS, Constraint, Objectives
from narrower.search.samplers.build import build_sampler
from narrower.search.space import Space
from narrower.settings import convert
from narrower.settings.schema import DATA_LOADERS, RunSettings
from narrower.store.provenance import environment
from narrower.store.run_directory import RunDirectory, write_json, write_text
from narrower.store.trials import TrialStore
from narrower.tasks.checkpoints import load_weights, save_weights
from narrower.tasks.datasets import DataSet, Part, load_data_set
from narrower.tasks.models import build_model
from narrower.tasks.scoring import check_fit
from narrower.tasks.training import train

CORRELATION_PLANS = 200
ShowProgress = Callable[[int], AbstractContextManager[Progress]]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Problem:
    """What a settings file asks for, checked as far as that goes without training."""

    settings: RunSettings
    data: DataSet
    part: Part
    part_name: str
    model: nn.Module
    program: Program
    space: Space
    objectives: Objectives
    constraints: tuple[Constraint, ...]

    @property
    def wanted_trials(self) -> int:
        """Distinct plans that are asked for."""
        asked = self.settings.search.strategy.setup.n_trials
        return self.space.size if asked is None else min(asked, self.space.size)


def pose(settings: RunSettings) -> Problem:
    """Load the data and the untrained model, and build the space: every mistake shows here."""
    path = Path(settings.data_path) if settings.data_path else None
    data = load_data_set(settings.dataset, seed=settings.seed, path=path)
    model = build_model(settings.model, seed=settings.seed)
    check_fit(model, data)
    evaluation = settings.search.strategy.sw_runner.basic_evaluation
    part_name = DATA_LOADERS[evaluation.data_loader]
    part: Part = getattr(data, part_name)
    if evaluation.num_samples is not None:
        if evaluation.num_samples > len(part):
            raise SettingsError(
                f"search.strategy.sw_runner.basic_evaluation.num_samples: found {evaluation.num_samples}; "
                f"the {part_name} part of {data.name!r} has {len(part)} samples"
            )
        part = part.first(evaluation.num_samples)
    program = trace(model, data.train.inputs[:3], settings.model)
    return Problem(
        settings,
        data,
        part,
        part_name,
        model,
        program,
        build_space(program.network, convert.space_settings(settings), _any_fraction),
        convert.objectives(settings),
        convert.constraints(settings),
    )


def with_weights(
    problem: Problem, run: RunDirectory, load: Path | None, *, may_train: bool, say: Say, show_progress: bool
) -> Problem:
    """The problem with the weights that plans start from: loaded, or trained first."""
    settings, data = problem.settings, problem.data
    source = load or (Path(settings.load_name) if settings.load_name else None)
    if source is not None:
        model = load_weights(problem.model, source)
        say(f"weights: {source}")
    elif run.weights.is_file():
        model = load_weights(problem.model, run.weights)
        say(f"weights: {run.weights}")
    elif may_train:
        training = convert.training_settings(settings)
        say(f"no checkpoint: training {settings.model} on {data.name} for {training.max_epochs} epochs first")
        result = train(problem.model, data, training, run.path, show_progress=show_progress)
        say(f"trained: validation accuracy {result.validation_accuracy:.4f}, {result.best_checkpoint}")
        model = load_weights(problem.model, result.best_checkpoint)
    else:
        raise SettingsError("there are no weights: give --load FILE or load_name, or leave out --no-train")
    program = trace(model, data.train.inputs[:3], settings.model)
    calibration = Calibration(lower(program), data.train.inputs)
    space = build_space(program.network, convert.space_settings(settings), calibration.fraction)
    return replace(problem, model=model, program=program, space=space)


def search(
    problem: Problem, run: RunDirectory, *, show_progress: ShowProgress, store: TrialStore
) -> RunRecord:
    """Run or go on with the search of a run and write its front; Ctrl-C ends it early with what there is."""
    started = time.monotonic()
    settings, setup = problem.settings, problem.settings.search.strategy.setup
    lowered = lower(problem.program)
    evaluator = Evaluator(lowered, problem.part)
    is_asked_for = {o.metric for o in problem.objectives.each} | {c.metric for c in problem.constraints}
    wants_loss = "loss" in is_asked_for
    wanted = problem.wanted_trials
    loop = Loop(
        problem.space,
        SpaceCosts(problem.space, NetworkCost(problem.program.network)),
        build_sampler(
            setup.sampler,
            problem.space,
            seed=settings.seed,
            wanted=wanted,
            loss_count=problem.objectives.count,
        ),
        lambda plans: evaluator.evaluate(plans, loss=wants_loss),
        problem.objectives,
        problem.constraints,
        store,
        seed=settings.seed,
    )
    with show_progress(wanted) as progress:
        loop.run(Budget(wanted, setup.timeout, setup.batch), progress)
    if loop.tally.trials and loop.tally.failed == loop.tally.trials:
        raise AllTrialsFailedError(
            f"all {loop.tally.failed} trials failed; the first: {loop.tally.first_failure}"
        )
    record = _record(problem, loop, store, evaluator, lowered, time.monotonic() - started)
    write_json(run.front, record.to_dict())
    return record


def start_run(problem: Problem, run: RunDirectory) -> TrialStore:
    """Write down what is searched, so that the run can be resumed and reproduced."""
    import tomli_w

    resolved = problem.settings.model_dump(exclude_none=True)
    write_text(run.settings, tomli_w.dumps(resolved))
    save_weights(problem.model, run.weights)
    costs = [name for name, metric in METRICS.items() if not metric.is_quality]
    return TrialStore.create(
        run.trials,
        ["accuracy", "loss", *costs],
        {**fingerprint(problem), "environment": environment(), "model": problem.settings.model},
    )


def fingerprint(problem: Problem) -> dict[str, str]:
    """Content hashes of everything that a trial's result depends on."""
    return {
        "space": problem.space.content_hash,
        "model weights": problem.program.content_hash,
        "data set": problem.data.content_hash,
        "samples": f"{problem.part_name}[:{len(problem.part)}]",
    }


def check_unchanged(problem: Problem, store: TrialStore) -> None:
    """Refuse to go on with a run whose space, model or data have changed.

    Raises:
        RunError: with what has changed.
    """
    recorded = store.facts()
    for name, value in fingerprint(problem).items():
        if recorded.get(name) != value:
            raise RunError(f"the {name} of the run has changed since it began; start a new run instead")


def _any_fraction(_layer: str, _operand: str, width: int) -> int:
    """Stands in for calibration where only the shape of a space matters."""
    return width // 2


def _record(
    problem: Problem, loop: Loop, store: TrialStore, evaluator: Evaluator, lowered: Program, seconds: float
) -> RunRecord:
    tally, objectives = loop.tally, problem.objectives
    test = Evaluator(lowered, problem.data.test)
    members = []
    numbers = [int(number) for number in loop.front.numbers]
    for trial in store.trials(numbers):
        plan = problem.space.plan(problem.space.options_at(trial.plan_index))
        (quality,) = evaluator.evaluate([plan], loss=True)
        (on_test,) = test.evaluate([plan])
        metrics = {**trial.metrics, "loss": float(quality.loss or 0.0)}
        members.append(
            Member(
                trial.number,
                trial.plan_index,
                plan_to_dict(plan),
                metrics,
                objectives.scaled(metrics),
                quality.accuracy_interval,
                on_test.accuracy,
                on_test.accuracy_interval,
                loop.front.equals[trial.number],
            )
        )
    members.sort(key=lambda member: objectives.losses(member.metrics))
    correlation, plans = _loss_accuracy_correlation(problem, store, evaluator)
    (float_quality,) = evaluator.evaluate([Plan()], loss=True)
    (float_test,) = test.evaluate([Plan()])
    return RunRecord(
        model=problem.settings.model,
        data_set=problem.data.name,
        sampler=problem.settings.search.strategy.setup.sampler,
        samples=len(problem.part),
        part=problem.part_name,
        seed=problem.settings.seed,
        objectives=tuple(
            {"metric": o.metric, "direction": o.direction, "scale": o.scale} for o in objectives.each
        ),
        float32={
            "accuracy": float_quality.accuracy,
            "loss": float(float_quality.loss or 0.0),
            "test_accuracy": float_test.accuracy,
            **NetworkCost(problem.program.network).of(Plan()),
        },
        members=tuple(members),
        summary=Summary(
            space_size=problem.space.size,
            trials=tally.trials,
            failed=tally.failed,
            replayed=tally.replayed,
            repeated=tally.repeated,
            drawn=tally.drawn,
            cut=dict(tally.cut),
            stopped=tally.stopped,
            seconds=seconds,
            first_failure=tally.first_failure,
            loss_accuracy_rank_correlation=correlation,
            correlation_plans=plans,
        ),
        warnings=tuple(unseen_widths(problem)),
    )


def _loss_accuracy_correlation(
    problem: Problem, store: TrialStore, evaluator: Evaluator
) -> tuple[float | None, int]:
    """Spearman's rank correlation of loss and accuracy over (at most 200 of) the trials."""
    count = store.count()
    chance = np.random.default_rng(problem.settings.seed)
    numbers = np.sort(chance.permutation(count)[:CORRELATION_PLANS]).tolist()
    trials = [trial for trial in store.trials(numbers) if trial.state == "complete"]
    plans = [problem.space.plan(problem.space.options_at(trial.plan_index)) for trial in trials]
    qualities = evaluator.evaluate(plans, loss=True)
    losses = [quality.loss for quality in qualities]
    accuracies = [quality.accuracy for quality in qualities]
    if len(set(losses)) < 3 or len(set(accuracies)) < 2:  # noqa: PLR2004 - no ranks to compare
        return None, len(trials)
    return float(spearmanr(losses, accuracies).statistic), len(trials)


def unseen_widths(problem: Problem) -> list[str]:
    """Warnings for what is searched although no objective and no constraint can see it."""
    seen = {o.metric for o in problem.objectives.each} | {c.metric for c in problem.constraints}
    sees = {
        "data": {"bitops"},
        "weight": {"bitops", "model_size", "average_bitwidth", "memory_density"},
        "bias": {"model_size"},
    }
    warnings = []
    for operand, metrics in sees.items():
        key = "data_in_width" if operand == "data" else f"{operand}_width"
        searched = [c for c in problem.space.choices if c.name.endswith(f".{key}") and len(c.values) > 1]
        if searched and not metrics & seen:
            warnings.append(
                f"{key} is searched in {len(searched)} layers, but no objective or constraint sees {operand} "
                f"bits: they look free (metrics that see them: {', '.join(sorted(metrics))})"
            )
    return warnings
