"""Candidates that start from the nearest plan that was trained before them."""

from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from torch import nn

import narrower
from narrower.data.parts import DataSet, Part
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan
from narrower.preparation.nearest import distance
from narrower.preparation.retrained import Retrained
from narrower.preparation.settings import RetrainedSettings
from narrower.report.read_record import read_record
from narrower.store.run_directory import RunDirectory
from narrower.store.trials import TrialStore
from narrower.study import study
from narrower.study.problem import Problem
from narrower.study.run_facts import resumed_run
from narrower.training.many import train_in_formats
from narrower.training.recipe import Recipe

RECIPE = Recipe(max_epochs=1, batch_size=64, learning_rate=0.01)
SPACE = {"0": {"data": [3, 5, 7], "weight": [2, 3, 4]}, "2": {"data": [4], "weight": [2, 3, 4]}}


def blobs() -> DataSet:
    chance = torch.Generator().manual_seed(3)
    classes = torch.arange(500) % 3
    inputs = torch.randn(500, 6, generator=chance) + classes[:, None]
    parts = [Part(inputs[some], classes[some]) for some in (slice(0, 300), slice(300, 400), slice(400, 500))]
    return DataSet("blobs", *parts, ("a", "b", "c"))


def network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).eval()


def plan(data: int, weight: int, frac: int = 1) -> Plan:
    return Plan.of({"0": LayerPlan(FixedPoint(data, 1), FixedPoint(weight, frac))})


def test_the_distance_is_the_bits_that_differ() -> None:
    assert distance(plan(4, 4), plan(4, 4)) == 0
    assert distance(plan(4, 4), plan(6, 3)) == 3
    assert distance(plan(4, 4), plan(4, 4, frac=3)) == 1  # other fractions of as many bits
    assert distance(plan(4, 4), Plan()) == 2 * 28
    assert distance(plan(6, 3), plan(4, 4)) == distance(plan(4, 4), plan(6, 3))


def searched(directory: Path, stop_after: int | None = None, sampler: str = "random") -> None:
    """A search over SPACE with candidates from the nearest plan; stopped after some trials were trained."""
    with pytest.MonkeyPatch.context() as patch:
        trained: list[Plan] = []
        keep = Retrained._keep

        def counted(self: Retrained, plan: Plan, model: nn.Module | str) -> None:
            if stop_after is not None and len(trained) >= stop_after:
                raise SystemExit
            trained.append(plan)
            keep(self, plan, model)

        patch.setattr(Retrained, "_keep", counted)
        settings = RetrainedSettings(RECIPE, "nearest")
        narrower.search(
            network(),
            blobs(),
            SPACE,
            ["accuracy", "bitops"],
            sampler=sampler,
            n_trials=24,
            directory=directory,
            candidates=settings,
        )


def trials(directory: Path) -> list[tuple[int, dict[str, float]]]:
    with TrialStore.open(directory / "trials.db", read_only=True) as store:
        return [(trial.plan_index, trial.metrics) for trial in store.trials()]


def posed(monkeypatch: pytest.MonkeyPatch) -> list[Problem]:
    found: list[Problem] = []
    own = study.search

    def remembers(problem: Problem, *arguments: object, **named: object) -> object:
        found.append(problem)
        return own(problem, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(study, "search", remembers)
    return found


def test_each_starts_from_the_nearest_before_its_group_and_that_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    problems = posed(monkeypatch)
    searched(tmp_path / "run")
    (problem,) = problems
    found = trials(tmp_path / "run")
    plans = [problem.space.plan(problem.space.options_at(index)) for index, _ in found]
    assert len(plans) == 24
    weights: list[nn.Module] = []
    for number, (plan, (_, metrics)) in enumerate(zip(plans, found, strict=True)):
        before = plans[: number // 16 * 16]
        if not before:
            assert "started_from" not in metrics
            begun = network()
        else:
            nearest = min(range(len(before)), key=lambda place: distance(plan, before[place]))
            assert metrics["started_from"] == nearest
            begun = weights[nearest]
        weights.append(train_in_formats(begun, plan, blobs().train, RECIPE))
    record = read_record(RunDirectory(tmp_path / "run"))
    assert record.summary.training is not None
    assert "nearest" in record.summary.training
    for member in record.members:  # delivered is what was scored; nothing is trained once more
        assert member.alone_value is None
        assert member.weights is not None
        stored = narrower.load_compressed(tmp_path / "run" / member.weights, network())
        inputs = blobs().validation.inputs
        wanted = weights[member.number]
        rounded = narrower.quantized(wanted, plans[member.number])
        torch.testing.assert_close(stored(inputs), rounded(inputs), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("stop_after", [5, 18, 22])
def test_a_search_that_was_stopped_goes_on_to_the_same_trials(
    stop_after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    problems = posed(monkeypatch)
    searched(tmp_path / "whole")
    with pytest.raises(SystemExit):
        searched(tmp_path / "half", stop_after)
    assert len(trials(tmp_path / "half")) < 24
    run = RunDirectory(tmp_path / "half")
    with resumed_run(problems[1], run, say=lambda _: None) as store:
        study.search(problems[1], run, store, show_progress=lambda _: nullcontext(lambda _d, _f: None))
    for (index, metrics), (wanted_index, wanted) in zip(
        trials(tmp_path / "half"), trials(tmp_path / "whole"), strict=True
    ):
        assert index == wanted_index
        assert metrics == wanted


def test_weights_that_are_gone_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    problems = posed(monkeypatch)
    with pytest.raises(SystemExit):
        searched(tmp_path / "run", 17)
    for path in (tmp_path / "run" / "candidates").iterdir():
        path.unlink()
    run = RunDirectory(tmp_path / "run")
    with (
        resumed_run(problems[0], run, say=lambda _: None) as store,
        pytest.raises(narrower.NarrowerError, match=r"trial \d+ left its weights there"),
    ):
        study.search(problems[0], run, store, show_progress=lambda _: nullcontext(lambda _d, _f: None))
