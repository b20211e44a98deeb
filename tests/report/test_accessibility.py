"""Pages read well for everyone: axe-core finds nothing, and nothing sticks out on a phone."""

from collections.abc import Callable
from pathlib import Path

import pytest

from narrower.report.findings import read_findings
from narrower.report.html import run_page
from narrower.report.live_page import LiveMember, live_fragment, live_page
from narrower.report.page import render_page
from narrower.report.side_by_side import side_by_side
from narrower.report.small_front import small_front
from narrower.study.reported import reported
from tests.report.axe import audit, needs_axe
from tests.report.made_up_run import additive_accuracy, drawn_network, write_run

LOOKS = [(1440, False), (390, True)]
OTHER_LOOKS = [(1440, True), (390, False)]


def report_page(path: Path) -> str:
    return render_page(run_page(reported(write_run(path / "run", change=drawn_network))))


def several_page(path: Path) -> str:
    runs = [
        write_run(path / name, accuracy=lambda widths, lost=lost: additive_accuracy(widths) - lost)
        for name, lost in (("first", 0.0), ("second", 0.05))
    ]
    return render_page(side_by_side([read_findings(run) for run in runs]))


def watched_page(path: Path) -> str:
    record = read_findings(write_run(path / "run")).record
    members = [LiveMember(m.number, m.metrics, m.plan) for m in record.members]
    fragment = live_fragment(
        "searching", ["accuracy", "bitops"], ("bitops", "accuracy"), members, [], ["12:00:00 began"]
    )
    return live_page("a run", fragment, "nonce")


def notebook_page(path: Path) -> str:
    record = read_findings(write_run(path / "run")).record
    head = '<!doctype html><html lang="en"><head><title>cell</title></head><body><main><h1>cell</h1>'
    return f"{head}{small_front(record)}</main></body></html>"


PAGES: list[Callable[[Path], str]] = [report_page, several_page, watched_page, notebook_page]


@needs_axe
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.__name__)
@pytest.mark.parametrize(
    "looks", [LOOKS, pytest.param(OTHER_LOOKS, marks=pytest.mark.slow)], ids=["", "others"]
)
def test_axe_finds_nothing_at_any_width_or_theme(
    page: Callable[[Path], str], looks: list[tuple[int, bool]], tmp_path: Path
) -> None:
    text = page(tmp_path)
    for width, dark in looks:
        if page is notebook_page and dark:
            continue  # its colours are those of the notebook around it
        found = audit(text, tmp_path, width=width, dark=dark)
        assert found.violations == {}, (width, dark)
        assert found.wider <= 0, (width, dark)
        assert found.passes > 5


@needs_axe
def test_a_page_with_faults_is_found_out(tmp_path: Path) -> None:
    wrong = '<!doctype html><html><head><title>x</title></head><body><img src="data:,"></body></html>'
    found = audit(wrong, tmp_path, width=390, dark=False)
    assert {"html-has-lang", "image-alt"} <= found.violations.keys()
    wide = '<!doctype html><html lang="en"><body><div style="width:700px">x</div></body></html>'
    assert audit(wide, tmp_path, width=390, dark=False).wider > 300
