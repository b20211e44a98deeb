"""What a search from Python gives: members to pick, models to use, tables and pictures."""

import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch

import narrower
from narrower.errors import NarrowerError, RunError
from narrower.report.small_front import small_front
from narrower.study.result import SearchResult

SPACE = {
    "seq_blocks.2": {"data": [4, 8], "weight": [2, 4, 8], "bias": [8]},
    "seq_blocks.5": {"data": [8], "weight": [2, 8], "bias": [8]},
}


def trained() -> torch.nn.Module:
    """A network that a few steps took from chance."""
    model, jets = narrower.build_model("jsc-toy", seed=1).train(), narrower.load_data_set("jets")
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for start in range(0, 60 * 256, 256):
        optimizer.zero_grad()
        some = slice(start, start + 256)
        torch.nn.functional.cross_entropy(model(jets.train.inputs[some]), jets.train.targets[some]).backward()
        optimizer.step()
    return model.eval()


@cache
def searched() -> SearchResult:
    model = trained()
    return narrower.search(model, "jets", SPACE, ["accuracy", "bitops"], samples=400)


def test_best_is_the_most_accurate_member_within_the_limits() -> None:
    found = searched()
    limit = sorted(row["bitops"] for row in found.front)[1]
    within = [row for row in found.front if row["bitops"] <= limit]
    best = max(within, key=lambda row: row["accuracy"])
    assert found.best(max={"bitops": limit}).number == best["number"]
    assert found.best().number == max(found.front, key=lambda row: row["accuracy"])["number"]
    with pytest.raises(RunError, match="no member of the front has bitops <= 1"):
        found.best(max={"bitops": 1})


def test_cheapest_and_knee_are_members() -> None:
    found = searched()
    numbers = {row["number"] for row in found.front}
    assert found.knee().number in numbers
    whole = found.cheapest(drop=1.0)
    assert whole.metrics["bitops"] == min(row["bitops"] for row in found.front)


def test_the_model_of_a_member_has_the_accuracy_that_was_found() -> None:
    found = searched()
    part = narrower.load_data_set("jets").validation.first(400)
    for member in found.record.members:
        with torch.no_grad():
            right = (found.model(member)(part.inputs).argmax(1) == part.targets).float().mean().item()
        assert right == pytest.approx(member.metrics["accuracy"], abs=1e-6)
    with pytest.raises(RunError, match="no member has the number 99; the front has "):
        found.model(99)


def test_resized_members_have_models_of_their_own_widths() -> None:
    model = trained()
    space = {"seq_blocks.2": {"width": [0.5, 1]}}
    found = narrower.search(model, "jets", space, ["accuracy", "macs"], samples=200)
    part = narrower.load_data_set("jets").validation.first(200)
    sizes = set()
    for member in found.record.members:
        made = found.model(member.number)
        with torch.no_grad():
            right = (made(part.inputs).argmax(1) == part.targets).float().mean().item()
        assert right == pytest.approx(member.metrics["accuracy"], abs=1e-6)
        sizes.add(sum(value.numel() for value in made.state_dict().values()))
    assert len(sizes) == len(found.record.members)


def test_a_member_is_exported_with_its_gate(tmp_path: Path) -> None:
    found = searched()
    manifest = found.export(found.knee(), "onnx", tmp_path / "out")
    assert all(check.passed for check in manifest.checks)
    assert Path(manifest.artefact).is_file()


def test_pandas_has_every_trial() -> None:
    pytest.importorskip("pandas")
    found = searched()
    table = found.to_pandas()
    assert len(table) == found.record.summary.trials == 12
    assert set(table["number"][table["on_front"]]) == {row["number"] for row in found.front}
    row = table.set_index("number").loc[found.front[0]["number"]]
    assert row["accuracy"] == found.front[0]["accuracy"]
    assert row["seq_blocks.2.weight"] == found.front[0]["plan"]["seq_blocks.2"]["weight"]
    assert set(table["state"]) == {"complete"}


def test_the_plot_has_every_trial_and_no_colour_by_name() -> None:
    found = searched()
    figure = found.plot()
    points = {name: trace for trace in figure.data for name in [trace.name]}
    front = next(trace for name, trace in points.items() if name.startswith("front"))
    assert np.allclose(sorted(front.x), sorted(row["bitops"] for row in found.front))
    assert "var(--" not in figure.to_json()
    with pytest.raises(NarrowerError, match="unknown metric 'luts'"):
        found.plot("luts")


class Tags(HTMLParser):
    """Fails on tags that are not closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.closed: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.opened.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.opened.pop() == tag
        self.closed.append(tag)


def test_a_notebook_shows_each_member_as_a_point_and_a_row() -> None:
    found = searched()
    text = found._repr_html_()
    tags = Tags()
    tags.feed(text)
    members = len(found.record.members)
    assert tags.closed.count("circle") == members
    assert tags.closed.count("tr") == members + 1
    assert "<script" not in text
    xs = [float(x) for x in re.findall(r'<circle cx="([\d.]+)"', text)]
    assert xs == sorted(xs)
    assert small_front(found.record) == text
