"""Which choices matter, plans across their choices, the picture of the network, runs side by side."""

import re
from dataclasses import replace
from itertools import product
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from narrower.errors import RunError
from narrower.report.findings import read_findings
from narrower.report.html import run_page
from narrower.report.network_picture import network_picture
from narrower.report.page import Page, render_page
from narrower.report.record import DrawnOperator
from narrower.report.side_by_side import side_by_side
from narrower.searching.importance import MOST_TRIALS, ped_anova
from narrower.study.reported import reported
from tests.conftest import RunNarrower
from tests.report.made_up_run import additive_accuracy, drawn_network, write_run


def section(page: Page, title: str) -> object:
    return next(section for section in page.sections if section.title == title)


def test_importance_is_that_of_the_choice_that_decides() -> None:
    rows = list(product(range(4), range(4), range(4)))
    levels = {name: [row[n] for row in rows] for n, name in enumerate(("decides", "helps", "nothing"))}
    values = [a + 0.2 * b for a, b, _ in rows]
    for sign in (1, -1):
        found = ped_anova(levels, [sign * value for value in values], is_larger_better=sign == 1)
        assert next(iter(found)) == "decides"
        assert found["nothing"] == min(found.values())
        assert sum(found.values()) == pytest.approx(1)


def test_importance_is_not_made_up_of_too_little() -> None:
    assert ped_anova({"a": [0, 1] * 5}, list(range(10)), is_larger_better=True) == {}
    assert ped_anova({"a": [0, 1] * 50}, [0.5] * 100, is_larger_better=True) == {}
    assert ped_anova({"a": [1] * 100}, list(range(100)), is_larger_better=True) == {}


def test_of_many_trials_some_are_drawn_and_the_order_stays() -> None:
    chance = np.random.default_rng(0)
    first, second = chance.integers(0, 4, 3 * MOST_TRIALS), chance.integers(0, 4, 3 * MOST_TRIALS)
    found = ped_anova(
        {"second": second.tolist(), "first": first.tolist()}, first.tolist(), is_larger_better=True
    )
    assert list(found) == ["first", "second"]


def test_the_page_names_the_choice_that_separates_the_best_trials(tmp_path: Path) -> None:
    findings = reported(write_run(tmp_path / "run"))
    shares = dict(findings.importance)
    assert next(iter(shares)).endswith(".weight")  # 2 bits of weights lose most
    said = " ".join(section(run_page(findings), "Which choices matter for good plans").paragraphs)  # type: ignore[attr-defined]
    assert next(iter(shares)) in said
    assert "no random sample" in said


def test_lines_of_the_front_stand_where_their_plans_are(tmp_path: Path) -> None:
    findings = read_findings(write_run(tmp_path / "run"))
    (figure,) = section(run_page(findings), "Plans across their choices").figures  # type: ignore[attr-defined]
    names = figure.layout["yaxis"]["ticktext"]
    weight = names.index("stem.weight")
    lines = [trace for trace in figure.traces if trace["name"] == "front"]
    assert len(lines) == len(findings.members)
    for line, member in zip(lines, findings.members, strict=True):
        bits = int(re.match(r"fixed\((\d+)", str(member.plan["stem"]["weight"]))[1])  # type: ignore[index]
        assert line["x"][weight] == {2: 0, 4: 0.5, 8: 1}[bits]
        assert line["x"][names.index("accuracy")] == pytest.approx(
            (member.metrics["accuracy"] - low(findings)) / (0.9 - low(findings)), abs=1e-3
        )


def low(findings: object) -> float:
    return float(findings.table.metrics["accuracy"].min())  # type: ignore[attr-defined]


def test_the_picture_has_a_box_for_each_operator_and_a_line_for_each_value(tmp_path: Path) -> None:
    findings = read_findings(write_run(tmp_path / "run", change=drawn_network))
    (picture,) = section(run_page(findings), "The network").pictures  # type: ignore[attr-defined]
    drawing = ElementTree.fromstring(picture)
    assert len(drawing.findall("g")) == 4
    assert len(drawing.findall("path")) == 4  # a-b, b-c, a-d, c-d
    planned = [box for box in drawing.findall("g") if box.find("rect").get("class") == "planned"]  # type: ignore[union-attr]
    assert [box.find("title").text.split(":")[0] for box in planned] == ["stem", "head"]  # type: ignore[union-attr]
    heights = [float(box.find("rect").get("y")) for box in drawing.findall("g")]  # type: ignore[union-attr, arg-type]
    assert heights == sorted(heights)


def test_operators_side_by_side_do_not_overlap_and_names_are_escaped() -> None:
    operators = [
        DrawnOperator("a", "split", "<b>", ("x",), (2,)),
        *(DrawnOperator(f"p{n}", "relu", f"p{n}", ("a",), (2,)) for n in range(3)),
    ]
    drawing = ElementTree.fromstring(network_picture(operators, {}, "it"))
    corners = [(box.find("rect").get("x"), box.find("rect").get("y")) for box in drawing.findall("g")]  # type: ignore[union-attr]
    assert len(set(corners)) == 4
    assert drawing.findall("g")[0].find("title").text.startswith("<b>:")  # type: ignore[union-attr]


def test_a_search_records_its_network(small_run: object) -> None:
    record = read_findings(small_run).record  # type: ignore[arg-type]
    layers = [operator.layer for operator in record.network]
    assert [layer for layer in layers if layer in ("seq_blocks.2", "seq_blocks.5", "seq_blocks.8")] == [
        "seq_blocks.2",
        "seq_blocks.5",
        "seq_blocks.8",
    ]
    assert record.network[0].shape == (16,)


def test_of_two_runs_the_better_front_dominates_all(tmp_path: Path) -> None:
    better = read_findings(write_run(tmp_path / "better"))
    worse = read_findings(write_run(tmp_path / "worse", accuracy=lambda w: additive_accuracy(w) - 0.1))
    page = side_by_side([worse, better])
    assert page.headline.startswith("better ")
    facts = dict(page.facts)
    assert facts["better"] == "100.0 % dominated"
    (figure,) = section(page, "The fronts").figures  # type: ignore[attr-defined]
    assert [trace["name"] for trace in figure.traces] == ["worse", "better"]
    assert [len(trace["x"]) for trace in figure.traces] == [len(worse.members), len(better.members)]


def test_runs_that_cannot_be_compared_are_refused_and_doubts_are_said(tmp_path: Path) -> None:
    one, other = read_findings(write_run(tmp_path / "a")), read_findings(write_run(tmp_path / "b"))
    empty = replace(other, record=replace(other.record, members=()))
    with pytest.raises(RunError, match="the front is empty"):
        side_by_side([one, empty])
    facts = {**other.table.facts, "data set": "another"}
    assert not side_by_side([one, other]).warnings
    warned = side_by_side([one, replace(other, table=replace(other.table, facts=facts))])
    assert "The data differ" in warned.warnings[0]
    render_page(warned)


def test_the_command_compares_runs(run_narrower: RunNarrower, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_run(tmp_path / "runs" / name)
    code, _, said = run_narrower("report", "runs/a", "runs/b")
    assert code == 0, said
    page = (tmp_path / "runs" / "side-by-side.html").read_text(encoding="utf-8")
    assert "a and b" in page
    assert run_narrower("report", "runs/a", "runs/b", "--png")[0] == 2
