import re
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest

from narrower.report.findings import Findings, read_findings
from narrower.report.html import run_page, write_report
from narrower.report.page import Page, render_page
from narrower.report.record import RunRecord
from tests.report.chromium import needs_chromium, open_page
from tests.report.made_up_run import Widths, without_weights, write_run

EVIL = "<script>console.error(1)</script><img src=x onerror=console.error(2)>"
Change = Callable[[RunRecord], RunRecord]
SECTIONS = [
    "The front",
    "Widths by layer",
    "What the accuracy depends on",
    "Plans across their choices",
    "Costs by layer",
    "How the front grew",
    "How it was made",
]


def findings_of(path: Path, **arguments: object) -> Findings:
    return read_findings(write_run(path / "run", **arguments))  # type: ignore[arg-type]


def count_figures(page: Page) -> int:
    return sum(len(section.figures) for section in page.sections)


def figure_of(page: Page, label: str) -> dict[str, object]:
    (figure,) = [f for section in page.sections for f in section.figures if f.label == label]
    return figure.value


def test_the_page_has_all_its_sections(tmp_path: Path) -> None:
    page = run_page(findings_of(tmp_path))
    assert [section.title for section in page.sections][1:] == SECTIONS
    assert page.sections[0].title.startswith("The plan, trial")


def test_every_trial_is_drawn_once_beside_the_front(tmp_path: Path) -> None:
    page = run_page(findings_of(tmp_path))
    traces = {
        trace["name"].split(" (")[0]: trace for trace in figure_of(page, "accuracy against bitops")["data"]
    }  # type: ignore[attr-defined]
    uniform = set(traces["same widths in every layer"]["customdata"])
    others = traces["other trials"]["customdata"]
    members = {member.number for member in findings_of(tmp_path / "again").record.members}
    assert sorted(others) == sorted(set(range(36)) - uniform - members)


def test_hover_texts_spell_the_plan(tmp_path: Path) -> None:
    page = run_page(findings_of(tmp_path))
    traces = {trace["name"]: trace for trace in figure_of(page, "accuracy against bitops")["data"]}  # type: ignore[attr-defined]
    codes, numbers = traces["other trials"]["text_codes"], traces["other trials"]["customdata"]
    row = codes["rows"][numbers.index(2)]  # plan 2: stem has its first option, head its third
    words = [words[code] for words, code in zip(codes["words"], row, strict=True)]
    assert words == ["stem 4/2/32", "head 4/8/32"]  # data/weight/bias; there are no biases


def test_intervals_of_the_front_are_those_of_the_record(tmp_path: Path) -> None:
    findings = findings_of(tmp_path)
    traces = figure_of(run_page(findings), "accuracy against bitops")["data"]
    (front,) = [trace for trace in traces if trace["name"] == "front (95 % interval)"]  # type: ignore[attr-defined]
    for y, up, down in zip(
        front["y"], front["error_y"]["array"], front["error_y"]["arrayminus"], strict=True
    ):
        (member,) = [m for m in findings.record.members if m.metrics["accuracy"] == y]
        assert (y - down, y + up) == pytest.approx(member.interval)


def test_the_heat_map_shows_the_bits_of_every_member(tmp_path: Path) -> None:
    findings = findings_of(tmp_path)
    (heat,) = figure_of(run_page(findings), "weight, bits")["data"]  # type: ignore[misc]
    members = {f"{member.number:,}": member for member in findings.record.members}
    for layer, texts in zip(heat["y"], heat["text"], strict=True):
        for trial, bits in zip(heat["x"], texts, strict=True):
            assert str(members[trial].plan[layer]["weight"]).startswith(f"fixed({bits},")


def test_costs_by_layer_add_up_to_the_plan(tmp_path: Path) -> None:
    findings = findings_of(tmp_path)
    chosen = findings.advice.chosen
    assert chosen is not None
    (section,) = [s for s in run_page(findings).sections if s.title == "Costs by layer"]
    *layers, total = section.tables[0].rows
    planned = section.tables[0].columns.index("planned")
    assert sum(int(row[planned].replace(",", "")) for row in layers) == chosen.metrics["bitops"]
    assert total[planned] == f"{chosen.metrics['bitops']:,.0f}"


def test_trials_that_are_not_admitted_are_not_drawn(tmp_path: Path) -> None:
    constraint = {"metric": "accuracy", "minimum": 0.85, "maximum": None}
    findings = findings_of(tmp_path, change=lambda r: replace(r, constraints=(constraint,)))
    for trace in figure_of(run_page(findings), "accuracy against bitops")["data"]:  # type: ignore[attr-defined]
        if trace["name"] in ("other trials", "same widths in every layer"):
            assert min(trace["y"]) >= 0.85


def test_5832_trials_keep_the_page_below_6_megabytes(tmp_path: Path) -> None:
    def accuracy(widths: Widths) -> float:
        return 0.5 + sum(weight * data for data, weight in widths.values()) / 1000

    layers = [f"blocks.{number}.convolution" for number in range(4)]
    run = write_run(tmp_path / "run", layers=layers, accuracy=accuracy)  # 1,296 plans
    write_report(read_findings(run), run.report)
    plotly = files("plotly").joinpath("package_data", "plotly.min.js").stat().st_size  # type: ignore[attr-defined]
    own = run.report.stat().st_size - plotly
    assert plotly + own * 5832 / 1296 < 6_000_000


def change_nothing(record: RunRecord) -> RunRecord:
    return record


def added_up(record: RunRecord) -> RunRecord:
    return replace(record, sum_direction="maximize", members=record.members[:1])


def for_three(record: RunRecord) -> RunRecord:
    third = {"metric": "model_size", "direction": "minimize", "scale": 1.0}
    return replace(record, objectives=(*record.objectives, third))


def for_loss(record: RunRecord) -> RunRecord:
    loss = {"metric": "loss", "direction": "minimize", "scale": 1.0}
    members = tuple(
        replace(m, metrics={**m.metrics, "loss": 1 - m.metrics["accuracy"]}) for m in record.members
    )
    return replace(record, objectives=(loss, record.objectives[1]), members=members)


def emptied(record: RunRecord) -> RunRecord:
    return replace(record, members=())


# front, 2 heat maps, sensitivity, plans across choices, bitops and bytes by layer, hypervolume twice
VARIANTS = {change_nothing: 9, added_up: 7, for_three: 10, for_loss: 9, without_weights: 9, emptied: 4}


@pytest.mark.parametrize("change", VARIANTS)
def test_each_kind_of_run_has_the_plots_that_apply(tmp_path: Path, change: Change) -> None:
    assert count_figures(run_page(findings_of(tmp_path, change=change))) == VARIANTS[change]


def test_a_search_that_was_interrupted_before_its_first_trial_has_a_page(tmp_path: Path) -> None:
    page = run_page(findings_of(tmp_path, tried=[]))
    assert page.headline == "No plan to take"
    assert "Only 0 of 36 plans" in " ".join(page.sentences)


@pytest.mark.parametrize(("direction", "expected"), [("maximize", [0.1, 0.9]), ("minimize", [0.9, 0.1])])
def test_columns_go_from_the_worst_to_the_best_by_the_direction_of_the_metric(
    tmp_path: Path, direction: str, expected: list[float]
) -> None:
    def by_own_metric(record: RunRecord) -> RunRecord:
        own = {"metric": "mine:score", "direction": direction, "scale": 1.0}
        members = tuple(
            replace(member, metrics={**member.metrics, "mine:score": score})
            for member, score in zip(record.members, (0.9, 0.1), strict=False)
        )
        return replace(record, objectives=(own, record.objectives[1]), members=members)

    members = findings_of(tmp_path, change=by_own_metric).members
    assert [member.metrics["mine:score"] for member in members] == expected


@needs_chromium
def test_every_plot_is_drawn_and_the_console_stays_silent(tmp_path: Path) -> None:
    pages = [run_page(findings_of(tmp_path / change.__name__, change=change)) for change in VARIANTS]
    sections = tuple(section for page in pages for section in page.sections)  # one browser opens them all
    path, figures = tmp_path / "page.html", sum(VARIANTS.values())
    path.write_text(render_page(replace(pages[0], sections=sections)))
    opened = open_page(path, tmp_path / "profile")
    assert opened.console == ()
    assert opened.drawn == figures
    assert opened.document.count('class="plot-container') == figures


@needs_chromium
def test_names_that_are_markup_stay_text_in_page_and_plots(tmp_path: Path) -> None:
    findings = findings_of(tmp_path, layers=(EVIL, "<b>head</b>"), model=EVIL)
    write_report(findings, findings.run.report)
    opened = open_page(findings.run.report, tmp_path / "profile")
    assert opened.console == ()
    assert opened.drawn == count_figures(run_page(findings))
    assert "<img src" not in opened.document
    assert '<tspan style="font-weight:bold">head' not in opened.document


HOVER = """<script>
(function point() {
  if (!document.documentElement.dataset.drawn) return setTimeout(point, 20);
  Plotly.Fx.hover(document.querySelector('[data-figure="0"]'), [{curveNumber: 0, pointNumber: POINT}], "xy");
})();
</script>"""


@needs_chromium
def test_pointing_at_a_trial_shows_its_plan(tmp_path: Path) -> None:
    findings = findings_of(tmp_path)
    page = run_page(findings)
    (trace, *_) = figure_of(page, "accuracy against bitops")["data"]  # type: ignore[misc]
    path = tmp_path / "page.html"
    point = trace["customdata"].index(2)  # stem has its first option, head its third
    path.write_text(render_page(page).replace("</body>", HOVER.replace("POINT", str(point)) + "</body>"))
    opened = open_page(path, tmp_path / "profile")
    assert opened.console == ()
    shown = re.sub(r"<[^>]*>", " ", opened.document.split('class="hovertext"')[1].split("</g>")[0])
    for words in ("trial 2", "accuracy 78.0%", "bitops 7,200", "stem 4/2/32", "head 4/8/32"):
        assert words in shown


@needs_chromium
def test_plots_take_the_colours_of_the_theme(tmp_path: Path) -> None:
    findings = findings_of(tmp_path)
    write_report(findings, findings.run.report)
    light = open_page(findings.run.report, tmp_path / "light")
    dark = open_page(findings.run.report, tmp_path / "dark", dark=True, width=400)
    assert dark.console == ()
    assert dark.drawn == light.drawn > 0
    for opened, accent, other in (
        (light, "rgb(11, 98, 196)", "rgb(109, 177, 255)"),
        (dark, "rgb(109, 177, 255)", "rgb(11, 98, 196)"),
    ):
        plots = opened.document.split('class="plot-container')[1]
        assert accent in plots
        assert other not in plots


@needs_chromium
def test_the_browser_reports_what_goes_wrong(tmp_path: Path) -> None:
    page = tmp_path / "broken.html"
    page.write_text("<script>nothing();</script>")
    assert "nothing is not defined" in open_page(page, tmp_path / "profile").console[0]
