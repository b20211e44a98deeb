"""Plans of a finished search that are trained in their number formats: honest, resumable, in rounds."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import narrower
from narrower.data.parts import DataSet, Part
from narrower.evaluate.evaluator import Evaluator
from narrower.export.compressed import load_parts
from narrower.graph.lower import lower
from narrower.graph.trace import trace
from narrower.plan.plan import Plan
from narrower.report.finetuned import FinetunedRecord, read_finetuned
from narrower.store.run_directory import RunDirectory
from narrower.store.trials import TrialStore
from narrower.study.finetune import Finetuner
from narrower.study.problem import Problem
from narrower.training.continued import CURVE
from narrower.training.core import Core
from narrower.training.finetuning import Finetuning
from narrower.training.many import train_in_formats
from narrower.training.recipe import Recipe

RECIPE = Recipe(max_epochs=4, batch_size=32, learning_rate=0.02)
SPACE = {"0": {"data": [3, 5], "weight": [2, 3, 6]}, "2": {"data": [4], "weight": [2, 3, 6]}}


def blobs(seed: int = 3) -> DataSet:
    chance = torch.Generator().manual_seed(seed)
    classes = torch.arange(700) % 3
    inputs = torch.randn(700, 6, generator=chance) + classes[:, None]
    parts = [Part(inputs[some], classes[some]) for some in (slice(0, 400), slice(400, 550), slice(550, 700))]
    return DataSet("blobs", *parts, ("a", "b", "c"))


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(1)
    first = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3))
    return train_in_formats(first, Plan(), blobs().train, RECIPE)


class Study:
    """A search from Python, and its problem as it was posed."""

    def __init__(
        self, model: nn.Module, data: DataSet, directory: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        posed: list[Problem] = []
        from narrower.study import study

        own = study.search

        def remembers(problem: Problem, *arguments: Any, **named: Any) -> Any:
            posed.append(problem)
            return own(problem, *arguments, **named)

        monkeypatch.setattr(study, "search", remembers)
        found = narrower.search(model, data, SPACE, ["accuracy", "bitops"], directory=directory)
        monkeypatch.setattr(study, "search", own)
        (self.problem,) = posed
        self.run, self.front = RunDirectory(directory), [member.number for member in found.record.members]

    def finetune(self, how: Finetuning, numbers: Sequence[int] | None = None) -> FinetunedRecord:
        with TrialStore.open(self.run.trials, read_only=True) as store:
            tuner = Finetuner(self.problem, self.run, store, how, lambda *_: None)
            return tuner.finetune(self.front if numbers is None else numbers, self.front)


@pytest.fixture
def study(model: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    return Study(model, blobs(), tmp_path / "run", monkeypatch)


def test_members_are_trained_scored_in_their_deployed_form_and_the_front_is_taken_again(study: Study) -> None:
    record = study.finetune(Finetuning(RECIPE))
    assert read_finetuned(study.run) == record
    assert {member.number for member in record.members} == set(study.front)
    assert all(member.was_member for member in record.members)
    assert record.rivals == 0
    data = study.problem.data
    for member in record.front:
        assert member.after is not None
        if member.weights is None:  # training made it worse
            continue
        stored, plan = load_parts(study.run.path / member.weights, study.problem.model)
        program = lower(trace(stored, data.train.inputs[:3]))
        for part, wanted in ((data.validation, member.after["accuracy"]), (data.test, member.test_value)):
            (quality,) = Evaluator(program, part).evaluate([plan])
            assert quality.metrics["accuracy"] == wanted
        alone = train_in_formats(study.problem.model, plan, data.train, RECIPE)
        for name, tensor in alone.state_dict().items():
            torch.testing.assert_close(stored.state_dict()[name], tensor, rtol=0, atol=1e-4)
    assert any(member.weights is not None for member in record.front)
    values = [(m.after if m.weights and m.after else m.before) for m in record.front]
    pairs = [(value["accuracy"], value["bitops"]) for value in values]
    assert not any(a != b and a[0] >= b[0] and a[1] <= b[1] for a in pairs for b in pairs)
    for member in record.members:  # no plan before is better than all plans after
        assert any(
            accuracy >= member.before["accuracy"] and bitops <= member.before["bitops"]
            for accuracy, bitops in pairs
        )


def weights_of(study: Study) -> dict[str, torch.Tensor]:
    files = sorted((study.run.path / "finetuned").rglob("*.safetensors"))
    assert files
    return {
        f"{path.parent.name}/{path.name}/{name}": tensor
        for path in files
        for name, tensor in load_file(path).items()
        if name != CURVE  # it shows how the plan does on samples that score
    }


@pytest.mark.parametrize("patience", [0, 2])
def test_no_sample_that_scores_changes_a_weight(
    patience: int, model: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Labels of the validation and the test part are exchanged: all states stay as they are, bit for bit."""
    how = Finetuning(replace(RECIPE, patience=patience))
    data = blobs()
    wrong = [replace(part, targets=(part.targets + 1) % 3) for part in (data.validation, data.test)]
    turned = DataSet("blobs", data.train, wrong[0], wrong[1], data.output_names)
    found, records = [], []
    for name, each in (("a", data), ("b", turned)):
        study = Study(model, each, tmp_path / name, monkeypatch)
        records.append(study.finetune(how, [0, 4, 9]))
        found.append(weights_of(study))
    assert found[0].keys() == found[1].keys()
    assert all(torch.equal(tensor, found[1][name]) for name, tensor in found[0].items())
    assert records[0].choosing == (0.1 if patience else 0)
    accuracies = [[m.after["accuracy"] for m in record.members if m.after] for record in records]
    assert accuracies[0] != accuracies[1]


def test_rounds_keep_the_best_and_repeat_no_step(study: Study) -> None:
    every = list(range(18))
    record = study.finetune(Finetuning(RECIPE, rounds=3), every)
    steps = 4 * 13  # epochs of 400 samples in batches of 32
    assert [stop for _, stop in record.rounds] == [4, 13, 52]
    (_, some, few), trained = (plans for plans, _ in record.rounds), [m.steps for m in record.members]
    assert 5 <= some <= 9  # the best quarter, or up to a half if nothing dominates them
    assert -(-some // 4) <= few <= -(-some // 2)
    assert sorted(trained, reverse=True) == [52] * few + [13] * (some - few) + [4] * (18 - some)
    assert record.steps == sum(trained)
    assert record.steps_of_all == 18 * steps
    assert [len(member.curve) for member in record.members] == [{4: 1, 13: 2, 52: 3}[s] for s in trained]
    # Who came through every round has the weights of a training without a stop.
    for member in record.members:
        if member.steps == steps and member.weights is not None:
            stored, plan = load_parts(study.run.path / member.weights, study.problem.model)
            alone = train_in_formats(study.problem.model, plan, study.problem.data.train, RECIPE)
            torch.testing.assert_close(
                stored.state_dict()["2.weight"], alone.state_dict()["2.weight"], rtol=0, atol=1e-4
            )


@pytest.mark.parametrize("rounds", [1, 3])
@pytest.mark.parametrize("killed_after", [1, 4, 6])
def test_what_was_killed_goes_on_and_ends_the_same(
    rounds: int, killed_after: int, model: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("narrower.study.staged_training.MOST_TOGETHER", 4)
    monkeypatch.setattr("narrower.study.tuned_states.SECONDS", 0.0)
    how, every = Finetuning(RECIPE, rounds=rounds), list(range(10))
    whole = Study(model, blobs(), tmp_path / "whole", monkeypatch)
    wanted = whole.finetune(how, every)
    half = Study(model, blobs(), tmp_path / "half", monkeypatch)
    epoch, done = Core.epoch, []

    def killed(core: Core, *arguments: Any) -> None:
        if len(done) == killed_after:
            raise SystemExit
        epoch(core, *arguments)
        done.append(core.step)

    monkeypatch.setattr(Core, "epoch", killed)
    with pytest.raises(SystemExit):
        half.finetune(how, every)
    again: list[int] = []

    def counts(core: Core, *arguments: Any) -> None:
        again.append(core.step)
        epoch(core, *arguments)

    monkeypatch.setattr(Core, "epoch", counts)
    found = half.finetune(how, every)
    assert replace(found, seconds=0.0) == replace(wanted, seconds=0.0)
    a, b = weights_of(whole), weights_of(half)
    assert all(torch.equal(tensor, b[name]) for name, tensor in a.items())
    monkeypatch.setattr(Core, "epoch", epoch)
    assert len(again) + len(done) <= len(again) + killed_after
    again.clear()
    monkeypatch.setattr(Core, "epoch", counts)
    assert replace(half.finetune(how, every), seconds=0.0) == replace(wanted, seconds=0.0)
    assert not again  # everything was there


def test_a_plan_that_cannot_be_trained_says_why(study: Study) -> None:
    lost = study.finetune(Finetuning(replace(RECIPE, optimizer="sgd", learning_rate=1.0)), [0, 5])
    assert {member.number for member in lost.members} >= {0, 5}
    with pytest.raises(
        narrower.NarrowerError, match="none of 2 plans could be trained: the loss is no number"
    ):
        study.finetune(Finetuning(replace(RECIPE, optimizer="sgd", learning_rate=3e38)), [0, 5])
    with pytest.raises(narrower.NarrowerError, match="no trial 99; there are 18"):
        study.finetune(Finetuning(RECIPE), [99])
    with pytest.raises(narrower.NarrowerError, match="rounds: plans go on where they stopped"):
        Finetuning(replace(RECIPE, patience=1), rounds=2)


def test_a_damaged_record_is_refused(study: Study) -> None:
    study.finetune(Finetuning(RECIPE), [0])
    path = study.run.path / "finetuned.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["members"][0]["steps"] = "many"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(narrower.NarrowerError, match=r"finetuned\.json: cannot be read"):
        read_finetuned(study.run)
