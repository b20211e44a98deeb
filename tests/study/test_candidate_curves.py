"""Curves of candidates that are trained before they are scored: recorded for all, shown for members."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

import narrower
from narrower.data.parts import DataSet, Part
from narrower.errors import NarrowerError
from narrower.preparation.settings import RetrainedSettings
from narrower.report.candidates_section import candidates_section
from narrower.report.curves import read_curves
from narrower.store.run_directory import RunDirectory
from narrower.study.result import SearchResult
from narrower.training.many import train_all, train_in_formats
from narrower.training.recipe import Recipe

RECIPE = Recipe(max_epochs=3, batch_size=32, learning_rate=0.02)
SPACE = {"0": {"data": [3, 5], "weight": [2, 6]}, "2": {"data": [4], "weight": [2, 3]}}


def blobs() -> DataSet:
    chance = torch.Generator().manual_seed(3)
    classes = torch.arange(700) % 3
    inputs = torch.randn(700, 6, generator=chance) + classes[:, None]
    parts = [Part(inputs[some], classes[some]) for some in (slice(0, 400), slice(400, 550), slice(550, 700))]
    return DataSet("blobs", *parts, ("a", "b", "c"))


def network() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3)).eval()


def searched(directory: Path, recipe: Recipe = RECIPE) -> SearchResult:
    return narrower.search(
        network(),
        blobs(),
        SPACE,
        ["accuracy", "bitops"],
        directory=directory,
        candidates=RetrainedSettings(recipe),
    )


@pytest.mark.parametrize("optimizer", ["adam", "muon"])  # together, and one at a time
def test_each_candidate_has_a_row_for_each_epoch(optimizer: str, tmp_path: Path) -> None:
    found = searched(tmp_path / "run", replace(RECIPE, optimizer=optimizer))
    record = read_curves(RunDirectory(tmp_path / "run"))
    assert record is not None
    assert [curve.number for curve in record.curves] == list(range(8))
    members = {member.number: member for member in found.record.members}
    assert {curve.number for curve in record.curves if curve.is_member} == members.keys()
    data, space = blobs(), found.problem.space
    for curve in record.curves:
        assert [epoch.step for epoch in curve.epochs] == [13, 26, 39]
        assert (curve.untrained is not None) == curve.is_member
        if not curve.is_member:
            continue
        member = members[curve.number]
        assert curve.epochs[-1].value == pytest.approx(member.metrics["accuracy"], abs=0.01)
        assert curve.epochs[-1].loss == pytest.approx(member.metrics["loss"], abs=0.01)
        rounded = narrower.quantized(network(), space.plan(space.options_at(member.plan_index)))
        right = rounded(data.validation.inputs).argmax(1) == data.validation.targets
        assert curve.untrained == pytest.approx(float(right.float().mean()))


def test_members_are_shown_with_what_they_have_without_training(tmp_path: Path) -> None:
    found = searched(tmp_path / "run")
    section = candidates_section(RunDirectory(tmp_path / "run"))
    assert section is not None
    assert len(section.tables[0].rows) == len(found.record.members)
    accuracy = section.figures[1]
    record = read_curves(RunDirectory(tmp_path / "run"))
    assert record is not None
    shown = [curve for curve in record.curves if curve.is_member]
    for trace, curve in zip(accuracy.traces, shown, strict=True):
        assert trace["x"] == [0, 13, 26, 39]
        assert trace["y"][0] == pytest.approx(curve.untrained, abs=1e-5)
    assert candidates_section(RunDirectory(tmp_path)) is None


def test_a_curve_is_that_of_training_alone_and_changes_nothing() -> None:
    data, model = blobs(), network()
    plans = [
        narrower.Plan.of({"0": narrower.LayerPlan(narrower.FixedPoint(5, 3), narrower.FixedPoint(width, 2))})
        for width in (2, 4)
    ]
    curves = {}
    together = train_all(
        [model] * 2, plans, data.train, RECIPE, watched=data.validation, told=curves.__setitem__
    )
    unseen = train_all([model] * 2, plans, data.train, RECIPE)
    for place, plan in enumerate(plans):
        alone: list[torch.Tensor] = []
        train_in_formats(model, plan, data.train, RECIPE, watched=data.validation, told=alone.append)
        torch.testing.assert_close(curves[place], alone[0], rtol=0, atol=0.02)
        a, b = together[place], unseen[place]
        assert isinstance(a, nn.Module)
        assert isinstance(b, nn.Module)
        assert all(torch.equal(t, b.state_dict()[name]) for name, t in a.state_dict().items())


def test_a_damaged_record_is_refused(tmp_path: Path) -> None:
    (tmp_path / "curves.json").write_text(json.dumps({"metric": "accuracy"}), encoding="utf-8")
    with pytest.raises(NarrowerError, match=re.escape("curves.json: cannot be read")):
        read_curves(RunDirectory(tmp_path))
