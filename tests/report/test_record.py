import json
from pathlib import Path

from narrower.report.findings import read_findings
from narrower.report.found_sections import front_section
from narrower.report.html import run_page
from narrower.report.read_record import read_record
from tests.report.made_up_run import write_run

ADDED_LATER = ("layers", "sum_direction", "constraints", "worst_costs")


def test_a_record_reads_back_as_it_was_written(tmp_path: Path) -> None:
    record = read_record(write_run(tmp_path / "run", change=lambda r: (written.append(r), r)[1]))
    assert record == written[0]


written: list[object] = []


def test_a_record_of_an_earlier_version_says_what_it_does_not_know(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    value = json.loads(run.front.read_text())
    for name in ADDED_LATER:
        del value[name]
    for member in value["members"]:
        del member["layer_bitops"], member["layer_bytes"]
    run.front.write_text(json.dumps(value))
    page = run_page(read_findings(run))
    assert any("does not record its constraints" in warning for warning in page.warnings)
    (costs,) = [section for section in page.sections if section.title == "Costs by layer"]
    assert costs.paragraphs == ("The run does not record the costs of its layers.",)
    assert not costs.figures


def test_a_record_before_there_were_intervals_of_several_metrics_is_read(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    value = json.loads(run.front.read_text())
    for name in ("float32_intervals", "interval_notes"):
        del value[name]
    for member in value["members"]:
        del member["intervals"], member["on_test"], member["on_test_intervals"]
    run.front.write_text(json.dumps(value))
    record = read_record(run)
    assert record.further == ()
    front = front_section(read_findings(run))
    assert len(front.tables) == 1
    assert [row[1] for row in front.tables[0].rows] != ["–"] * len(record.members)
