"""Metrics beside the leading one: intervals where they are objectives, all of them in a table of the page."""

import csv
from dataclasses import replace
from pathlib import Path

from narrower.report.findings import read_findings
from narrower.report.flat_table import csv_lines, front_rows
from narrower.report.found_sections import front_section
from narrower.report.markdown import front_markdown
from narrower.report.read_record import read_record
from narrower.report.record import RunRecord
from tests.report.made_up_run import write_run


def with_auc(record: RunRecord) -> RunRecord:
    """The same, where AUC is an objective in the place of bitops, and macro F1 was bounded."""
    members = tuple(
        replace(
            member,
            metrics={**member.metrics, "auc": 0.5 + member.metrics["accuracy"] / 2, "macro_f1": 0.7},
            intervals={"auc": (0.61, 0.89), "macro_f1": (0.64, 0.76)},
            on_test={"auc": 0.75},
            on_test_intervals={"auc": (0.7, 0.8)},
        )
        for member in record.members
    )
    objectives = (*record.objectives, {"metric": "auc", "direction": "maximize", "scale": 1.0})
    floats = {**record.float32, "auc": 0.953, "test_auc": 0.951}
    record = replace(record, members=members, objectives=objectives, interval_notes={"auc": "1,000 draws"})
    return replace(record, float32=floats, float32_intervals={"auc": (0.94, 0.97)})


def test_tables_have_intervals_of_objectives(tmp_path: Path) -> None:
    record = read_record(write_run(tmp_path / "run", change=with_auc))
    assert record.further == ("auc", "macro_f1")
    head, _, first, *_ = front_markdown(record)
    assert "auc (95 %)" in head
    assert "(0.61–0.89)" in first
    assert "0.64" not in first  # macro F1 is no objective
    (row, *_) = csv.DictReader(csv_lines(front_rows(record)))
    assert (row["auc_low"], row["auc_high"], row["test_auc_low"]) == ("0.61", "0.89", "0.7")
    assert (row["macro_f1_low"], row["test_macro_f1"]) == ("0.64", "")


def test_the_page_of_a_run_has_all_of_them_and_float32(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", change=with_auc)
    front = front_section(read_findings(run))
    shown, further = front.tables
    assert "auc (95 %)" in shown.columns
    assert further.columns[1:3] == ("auc (95 %)", "on the test part (95 %)")
    *members, floats = further.rows
    assert members[0][2:] == ("0.75 (0.7–0.8)", "0.7 (0.64–0.76)", "–")
    assert floats == ("float32", "0.953 (0.94–0.97)", "0.951", "–", "–")
    assert "1,000 draws" in further.caption
