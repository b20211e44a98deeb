"""Candidates that are trained in folds, or of whose front members other seeds are trained."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import narrower
from narrower.data.folds import folds_of, together
from narrower.data.parts import DataSet, Part
from narrower.errors import NarrowerError
from narrower.evaluate.evaluator import Evaluator
from narrower.evaluate.held_out import held_out
from narrower.graph.lower import lower
from narrower.graph.trace import trace
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan, plan_from_dict
from narrower.preparation.in_folds import InFolds
from narrower.preparation.preparation import Subject
from narrower.preparation.retrained import Retrained
from narrower.preparation.settings import CrossValidatedSettings, RetrainedSettings
from narrower.report.read_record import read_record
from narrower.store.run_directory import RunDirectory
from narrower.store.trials import TrialStore
from narrower.study import study
from narrower.study.problem import Problem
from narrower.study.result import SearchResult
from narrower.study.run_facts import resumed_run
from narrower.tasks.catalogue import task_named
from narrower.tasks.intervals import wilson_interval
from narrower.tasks.spread import interval_of_trainings
from narrower.tasks.task import leading
from narrower.training.many import train_in_formats
from narrower.training.one_model import train_weights
from narrower.training.recipe import Recipe
from narrower.training.untrained import untrained

RECIPE = Recipe(max_epochs=2, batch_size=64, learning_rate=0.02)
FOLDED = CrossValidatedSettings(RECIPE, folds=3, float_recipe=RECIPE)
SPACE = {"0": {"data": [3, 5], "weight": [2, 3, 4]}, "2": {"data": [4], "weight": [2, 3, 4]}}


def blobs() -> DataSet:
    chance = torch.Generator().manual_seed(3)
    classes = torch.arange(500) % 3
    inputs = 1.2 * torch.randn(500, 6, generator=chance) + classes[:, None]
    parts = [Part(inputs[some], classes[some]) for some in (slice(0, 300), slice(300, 400), slice(400, 500))]
    return DataSet("blobs", *parts, ("a", "b", "c"))


def network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).eval()


def searched(directory: Path, settings: RetrainedSettings, data: DataSet | None = None) -> SearchResult:
    return narrower.search(
        network(),
        data or blobs(),
        SPACE,
        ["accuracy", "bitops"],
        sampler="random",
        n_trials=18,
        directory=directory,
        candidates=settings,
    )


def right(model: nn.Module, plan: Plan, part: Part) -> float:
    program = lower(trace(model, part.inputs[:3]))
    return Evaluator(program, part).evaluate([plan.formats])[0].metrics["accuracy"] * len(part)


def test_each_sample_is_scored_once_by_weights_that_were_taught_without_it(tmp_path: Path) -> None:
    found = searched(tmp_path / "run", FOLDED)
    record = found.record
    assert (record.samples, record.part) == (400, "train and validation")
    assert record.summary.training is not None
    assert "3 folds" in record.summary.training
    folds = folds_of(together(blobs().train, blobs().validation), 3, RECIPE.seed)
    floats = [train_weights(untrained(network(), RECIPE.seed), teaches, RECIPE) for teaches, _ in folds]
    float_right = sum(right(model, Plan(), part) for model, (_, part) in zip(floats, folds, strict=True))
    assert record.float32["accuracy"] == pytest.approx(float_right / 400)
    for member in record.members[:1]:
        plan = plan_from_dict(member.plan)
        total = sum(
            right(train_in_formats(begun, there, teaches, RECIPE), there, scores)
            for begun, (teaches, scores) in zip(floats, folds, strict=True)
            for there in [found.problem.refit(begun, replace(blobs(), train=teaches))(plan)]
        )
        assert member.metrics["accuracy"] == pytest.approx(total / 400, abs=0.0051)  # sums in another order
        assert member.interval == pytest.approx(wilson_interval(member.metrics["accuracy"] * 400, 400))
        delivered = train_in_formats(network(), plan, blobs().train, RECIPE)
        assert member.test_value == right(delivered, plan, blobs().test) / 100
        assert member.alone_value == right(delivered, plan, blobs().validation) / 100
    assert read_record(RunDirectory(tmp_path / "run")) == record


def test_labels_of_the_samples_that_a_fold_scores_change_no_weight_in_it(tmp_path: Path) -> None:
    data = blobs()
    whole = together(data.train, data.validation)
    _, scored = folds_of(whole, 3, RECIPE.seed)[1]
    is_scored = (whole.inputs[:, None] == scored.inputs).all(dim=2).any(dim=1)
    targets = torch.where(is_scored, (whole.targets + 1) % 3, whole.targets)
    train, validation = (replace(whole, targets=targets).between(*ends) for ends in ((0, 300), (300, 400)))
    turned = DataSet("blobs", train, validation, data.test, data.output_names)
    weights = []
    for name, each in (("a", data), ("b", turned)):
        subject = Subject(
            "n", network(), trace(network(), each.train.inputs[:3]), each, scored=each.validation
        )
        way = InFolds(subject, replace(FOLDED, start="nearest"))
        way.keep_in(tmp_path / name, [], [])
        plans = [
            Plan.of({"0": LayerPlan(FixedPoint(width, 2), FixedPoint(width, 1))}) for width in range(2, 20)
        ]
        assert all(prepared.failure is None for prepared in way.prepare(plans))
        files = sorted((tmp_path / name).glob("fold-*/*.safetensors"))
        assert len(files) == 3 * (len(plans) + 1)
        weights.append({f"{file.parent.name} {file.name}": load_file(file) for file in files})
    same = {
        name: all(torch.equal(own, weights[1][name][key]) for key, own in tensors.items())
        for name, tensors in weights[0].items()
    }
    assert all(is_same == (name.startswith("fold-2")) for name, is_same in same.items())


def test_a_search_in_folds_that_was_stopped_goes_on_to_the_same_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(FOLDED, start="nearest")
    searched(tmp_path / "whole" / "run", settings)  # elsewhere: results would be taken over
    problems: list[Problem] = []
    own, keep, trained = study.search, Retrained._keep, list[Plan]()

    def remembers(problem: Problem, *arguments: object, **named: object) -> object:
        problems.append(problem)
        return own(problem, *arguments, **named)  # type: ignore[arg-type]

    def stops(self: Retrained, plan: Plan, model: nn.Module | str) -> None:
        if len(trained) >= 3 * 16 + 4:
            raise SystemExit
        trained.append(plan)
        keep(self, plan, model)

    monkeypatch.setattr(study, "search", remembers)
    monkeypatch.setattr(Retrained, "_keep", stops)
    with pytest.raises(SystemExit):
        searched(tmp_path / "half" / "run", settings)
    monkeypatch.setattr(Retrained, "_keep", keep)
    run = RunDirectory(tmp_path / "half" / "run")
    with run.locked(), resumed_run(problems[0], run, say=lambda _: None) as store:
        assert store.count() < 18
        own(problems[0], run, store, show_progress=lambda _: nullcontext(lambda _d, _f: None))
    trials = []
    for name in ("whole", "half"):
        with TrialStore.open(tmp_path / name / "run" / "trials.db", read_only=True) as store:
            trials.append([(trial.plan_index, trial.metrics) for trial in store.trials()])
    assert trials[0] == trials[1]


def test_several_seeds_of_members_enter_their_interval(tmp_path: Path) -> None:
    record = searched(tmp_path / "run", RetrainedSettings(RECIPE, front_seeds=3)).record
    metric, member = leading(blobs().task), record.members[-1]
    plan, rights = plan_from_dict(member.plan), []
    for seed in range(3):
        model = train_in_formats(network(), plan, blobs().train, replace(RECIPE, seed=seed))
        evaluator = Evaluator(lower(trace(model, blobs().train.inputs[:3])), blobs().validation)
        rights.append(evaluator.contributions([plan.formats])[0].numpy())
    assert member.seed_values == pytest.approx([own.mean() for own in rights], abs=0.0101)
    assert member.seed_values[0] == member.metrics["accuracy"]
    assert len(set(member.seed_values)) > 1
    assert member.interval == pytest.approx(interval_of_trainings(metric, np.stack(rights)), abs=0.02)
    assert all(member.certain is not None for member in record.members)
    cheapest = min(record.members, key=lambda member: member.metrics["bitops"])
    assert cheapest.certain  # nothing costs less
    assert read_record(RunDirectory(tmp_path / "run")) == record


def test_what_contradicts_folds_is_said(tmp_path: Path) -> None:
    with pytest.raises(NarrowerError, match="folds: found 3 with seeds = 2"):
        replace(FOLDED, front_seeds=2)
    with pytest.raises(NarrowerError, match="folds: expected a whole number from 2, found 1"):
        replace(FOLDED, folds=1)
    with pytest.raises(NarrowerError, match="folds: found 500; there are 400 samples"):
        searched(tmp_path / "run", replace(FOLDED, folds=500))


def test_automatic_fractions_are_those_of_the_model_of_the_fold(tmp_path: Path) -> None:
    other = network()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(4)  # two bits more before the point
    space = {"0": {"data": [3, 5], "weight": [2, 3], "weight_frac": ["auto"], "data_frac": ["auto"]}}
    spaces = [
        narrower.search(model, blobs(), space, ["accuracy"], sampler="random", n_trials=1).problem
        for model in (network(), other)
    ]
    plan_of = spaces[0].refit(other, blobs())
    for index in range(4):
        before, wanted = (problem.space.plan(problem.space.options_at(index)) for problem in spaces)
        assert plan_of(before) == wanted != before
    fixed = {"0": {"weight": [3], "weight_frac": [1, "auto"]}}  # two formats that would become one
    problem = narrower.search(network(), blobs(), fixed, ["accuracy"]).problem
    plans = [problem.space.plan((option,)) for option in range(problem.space.size)]
    assert len(set(map(problem.refit(other, blobs()), plans))) == len(plans) == 2


def test_metrics_of_all_samples_are_those_of_all_folds_together() -> None:
    """Each set has weights of its own; a metric that is no sum over samples sees them all at once."""
    chance = torch.Generator().manual_seed(0)
    inputs = torch.randn(120, 6, generator=chance)
    part = Part(inputs, (inputs[:, :3] > 0).float(), task=task_named("multi-label"))
    parts = [part.between(0, 50), part.between(50, 120)]
    models = [nn.Sequential(nn.Linear(6, 3)).eval() for _ in parts]
    plan = Plan.of({"0": LayerPlan(FixedPoint(6, 3), FixedPoint(5, 4))})
    sets = [(lower(trace(model, inputs[:3])), plan, own) for model, own in zip(models, parts, strict=True)]
    found = held_out(sets, 32, {"own": lambda outputs, targets: float((outputs * targets).sum())})
    outputs = torch.cat(
        [narrower.quantized(model, plan)(own.inputs) for model, own in zip(models, parts, strict=True)]
    ).detach()
    for metric in part.task.metrics:
        wanted = metric.value(metric.sums(outputs, part.targets), 120)
        assert found.quality.metrics[metric.name] == pytest.approx(wanted, rel=1e-5)
    assert found.quality.metrics["own"] == pytest.approx(float((outputs * part.targets).sum()), rel=1e-4)
    assert found.quality.samples == len(found.contributions) == 120
