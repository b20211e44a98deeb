"""Plans trained after a search: several seeds, cross-validation, rivals of the front, and from Python."""

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
from narrower.export.compressed import load_parts
from narrower.graph.lower import lower
from narrower.graph.trace import trace
from narrower.preparation.settings import RetrainedSettings
from narrower.store.trials import TrialStore
from narrower.study.result import SearchResult
from narrower.tasks.intervals import wilson_interval
from narrower.training.many import train_in_formats
from narrower.training.one_model import train_weights
from narrower.training.recipe import Recipe
from narrower.training.untrained import untrained

RECIPE = Recipe(max_epochs=3, batch_size=32, learning_rate=0.02)
SPACE = {"0": {"data": [3, 5], "weight": [2, 3, 6]}, "2": {"data": [4], "weight": [2, 3, 6]}}


def blobs(seed: int = 3, noise: float = 1.0) -> DataSet:
    chance = torch.Generator().manual_seed(seed)
    classes = torch.arange(700) % 3
    inputs = noise * torch.randn(700, 6, generator=chance) + classes[:, None]
    parts = [Part(inputs[some], classes[some]) for some in (slice(0, 400), slice(400, 550), slice(550, 700))]
    return DataSet("blobs", *parts, ("a", "b", "c"))


def network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3)).eval()


def searched(directory: Path, data: DataSet | None = None) -> SearchResult:
    return narrower.search(network(), data or blobs(), SPACE, ["accuracy", "bitops"], directory=directory)


def test_several_seeds_say_how_far_trainings_end_apart(tmp_path: Path) -> None:
    found = searched(tmp_path / "run")
    recipe = replace(RECIPE, max_epochs=2)
    record = narrower.finetune(found, recipe, seeds=3)
    trained = [member for member in record.front if member.weights is not None]
    assert trained
    for member in trained[:2]:
        _, plan = load_parts(tmp_path / "run" / str(member.weights), network())
        values = []
        for seed in range(3):
            model = train_in_formats(found.problem.model, plan, blobs().train, replace(recipe, seed=seed))
            evaluator = Evaluator(lower(trace(model, blobs().train.inputs[:3])), blobs().validation)
            values.append(evaluator.evaluate([plan])[0].metrics["accuracy"])
        assert member.seed_values == pytest.approx(values, abs=0.02)
        assert member.spread == pytest.approx(float(np.std(member.seed_values, ddof=1)))
        assert member.after is not None
        assert member.seed_values[0] == member.after["accuracy"]
        assert member.interval is not None
        low, high = wilson_interval(np.mean(member.seed_values) * 150, 150)
        assert member.interval[0] <= low + 1e-9
        assert member.interval[1] >= high - 1e-9
    assert record.further_steps == 2 * len(trained) * 2 * 13
    cheapest = min(record.front, key=lambda member: (member.after or member.before)["bitops"])
    assert cheapest.certain  # nothing costs less
    assert all(member.certain is not None for member in record.front)


def test_folds_score_each_sample_by_weights_that_were_taught_without_it(tmp_path: Path) -> None:
    found = searched(tmp_path / "run")
    record = narrower.finetune(found, RECIPE, folds=5, float_recipe=RECIPE)
    assert (record.folds, record.samples) == (5, 550)
    whole = together(blobs().train, blobs().validation)
    folds = folds_of(whole, 5, RECIPE.seed)
    assert sum(len(scores) for _, scores in folds) == 550
    assert all(len(teaches) + len(scores) == 550 for teaches, scores in folds)
    member = record.front[-1]
    _, plan = load_parts(tmp_path / "run" / str(member.weights), network())
    right = 0.0
    for teaches, scores in folds:
        begun = train_weights(untrained(found.problem.model, RECIPE.seed), teaches, RECIPE)
        model = train_in_formats(begun, plan, teaches, RECIPE)
        (quality,) = Evaluator(lower(trace(model, whole.inputs[:3])), scores).evaluate([plan])
        right += quality.metrics["accuracy"] * len(scores)
    assert member.after is not None
    assert member.after["accuracy"] == pytest.approx(right / 550, abs=0.01)
    assert member.interval == pytest.approx(wilson_interval(member.after["accuracy"] * 550, 550))


def test_the_labels_of_a_fold_change_no_weight_that_scores_it() -> None:
    whole = together(blobs().train, blobs().validation)
    teaches, scores = folds_of(whole, 5, 0)[2]
    numbers = [int((whole.inputs == row).all(dim=1).nonzero()[0, 0]) for row in scores.inputs]
    targets = whole.targets.clone()
    targets[numbers] = (targets[numbers] + 1) % 3
    turned = folds_of(replace(whole, targets=targets), 5, 0)
    again, scored = turned[2]
    assert torch.equal(again.targets, teaches.targets)
    assert torch.equal(again.inputs, teaches.inputs)
    assert not torch.equal(scored.targets, scores.targets)
    a, b = (train_weights(untrained(network(), 0), part, RECIPE).state_dict() for part in (teaches, again))
    assert all(torch.equal(tensor, b[name]) for name, tensor in a.items())


@pytest.mark.parametrize("start", ["float", "nearest"])
@pytest.mark.parametrize("patience", [0, 2])
def test_candidates_are_not_taught_by_what_scores_them(start: str, patience: int, tmp_path: Path) -> None:
    data, weights = blobs(), []
    wrong = [replace(part, targets=(part.targets + 1) % 3) for part in (data.validation, data.test)]
    turned = DataSet("blobs", data.train, wrong[0], wrong[1], data.output_names)
    for name, each in (("a", data), ("b", turned)):
        settings = RetrainedSettings(replace(RECIPE, max_epochs=2, patience=patience), start)  # type: ignore[arg-type]
        narrower.search(
            network(), each, SPACE, ["accuracy", "bitops"], directory=tmp_path / name, candidates=settings
        )
        files = sorted((tmp_path / name / "candidates").iterdir())
        assert len(files) == 18
        weights.append({file.name: file.read_bytes() for file in files})
    assert weights[0] == weights[1]


def test_rounds_train_the_same_weights_whatever_the_labels_that_score(tmp_path: Path) -> None:
    """Which plans go on follows from scores; what a plan is trained to does not."""
    data = blobs()
    wrong = replace(data.validation, targets=(data.validation.targets + 1) % 3)
    turned = DataSet("blobs", data.train, wrong, data.test, data.output_names)
    found = []
    for name, each in (("a", data), ("b", turned)):
        narrower.finetune(searched(tmp_path / name, each), RECIPE, every=True, rounds=3)
        root = tmp_path / name / "finetuned"
        found.append({str(file.relative_to(root)): file for file in root.rglob("*.safetensors")})
    both = found[0].keys() & found[1].keys()
    assert len([name for name in both if name.startswith("round-1")]) == 18
    for name in both:
        a, b = load_file(found[0][name]), load_file(found[1][name])
        tolerance = 0 if name.startswith("round-1") else 1e-5  # other neighbours: sums in another order
        for key in a.keys() - {"curve"}:
            torch.testing.assert_close(a[key], b[key], rtol=0, atol=tolerance)


def test_plans_whose_intervals_reach_the_front_are_trained_too(tmp_path: Path) -> None:
    data = blobs(noise=3.0)
    found = searched(tmp_path / "run", data)
    record = narrower.finetune(found, replace(RECIPE, max_epochs=1))
    front = {member.number: member.metrics for member in found.record.members}
    with TrialStore.open(tmp_path / "run" / "trials.db", read_only=True) as store:
        trials = {trial.number: trial.metrics for trial in store.trials()}
    reaching = set()
    for number, own in trials.items():
        high = wilson_interval(round(own["accuracy"] * 150), 150)[1]
        beaten = any(
            metrics["bitops"] <= own["bitops"] and metrics["accuracy"] >= high for metrics in front.values()
        )
        if number not in front and not beaten:
            reaching.add(number)
    assert reaching
    assert {member.number for member in record.members} == reaching | set(front)
    assert record.rivals == len(reaching)


def test_how_each_epoch_went_is_recorded(tmp_path: Path) -> None:
    found = searched(tmp_path / "run")
    record = narrower.finetune(found, RECIPE)
    for member in record.members:
        assert [epoch.step for epoch in member.epochs] == [13, 26, 39]
        assert member.after is not None
        last = member.epochs[-1]  # the module sums in another order than the engine
        assert last.value == pytest.approx(member.after["accuracy"], abs=0.02)
        assert last.loss == pytest.approx(member.after["loss"], abs=0.02)
        assert member.epochs[0].taught > 0
    rounds = narrower.finetune(found, RECIPE, every=True, rounds=2)
    (longest, *_) = sorted(rounds.members, key=lambda member: -member.steps)
    assert [epoch.step for epoch in longest.epochs] == [10, 13, 26, 39]


def test_what_cannot_be_asked_for_is_said(tmp_path: Path) -> None:
    found = searched(tmp_path / "run")
    for arguments, said in (
        ({"trials": [1], "every": True}, "give some of them, or every=True"),
        ({"folds": 3, "seeds": 2}, "folds: found 3 with seeds = 2"),
        ({"folds": 3, "rounds": 2}, "folds: found 3 with rounds = 2"),
        ({"folds": 1000}, "folds: found 1000; there are 550 samples"),
        ({"seeds": 0}, "seeds: expected a whole number from 1"),
    ):
        with pytest.raises(NarrowerError, match=said):
            narrower.finetune(found, RECIPE, **arguments)  # type: ignore[arg-type]
    with pytest.raises(NarrowerError, match="a search from Python does not keep its model"):
        narrower.finetune(tmp_path / "run")


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(6))
        self.layer = nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.layer(x * self.scale)
        return output


def test_an_untrained_copy_forgets_all_that_was_learnt() -> None:
    with pytest.raises(NarrowerError, match="a Scaled does not say how scale is drawn"):
        untrained(Scaled(), 0)
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.fill_(9)
    fresh = untrained(model, 0).state_dict()
    assert not any((tensor == 9).any() for tensor in fresh.values())
    again = untrained(nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)), 0).state_dict()
    assert all(torch.equal(tensor, again[name]) for name, tensor in fresh.items())
