import csv
from pathlib import Path

from narrower.report.flat_table import csv_lines, front_rows, trials_rows
from narrower.report.markdown import front_markdown
from narrower.report.read_record import read_record
from tests.report.made_up_run import additive_accuracy, all_widths, bitops, write_run

REASON = 'broke, "badly"\nin two lines'


def test_the_front_as_csv_reads_back_as_the_record(tmp_path: Path) -> None:
    record = read_record(write_run(tmp_path / "run"))
    rows = list(csv.DictReader(csv_lines(front_rows(record))))
    assert [int(row["number"]) for row in rows] == [member.number for member in record.members]
    for row, member in zip(rows, record.members, strict=True):
        assert float(row["accuracy"]) == member.metrics["accuracy"]
        assert (float(row["accuracy_low"]), float(row["accuracy_high"])) == member.interval
        assert row["stem.weight"] == member.plan["stem"]["weight"]
        assert row["head.data"] == member.plan["head"]["data"]


def test_all_trials_as_csv_read_back_with_plans_and_reasons(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", tried=[3, 20, 35], failed={1: REASON})
    text = "\n".join(csv_lines(trials_rows(run))).splitlines(keepends=True)
    rows = list(csv.DictReader(text))
    assert [row["state"] for row in rows] == ["complete", "failed", "complete"]
    assert rows[1]["reason"] == REASON
    assert rows[1]["accuracy"] == ""  # not known is not zero
    plans = all_widths(("stem", "head"))
    for row, index in zip(rows, (3, 20, 35), strict=True):
        assert float(row["bitops"]) == bitops(plans[index])
        for layer, (data, weight) in plans[index].items():
            assert row[f"{layer}.data"].startswith(f"fixed({data},")
            assert row[f"{layer}.weight"].startswith(f"fixed({weight},")
    assert float(rows[0]["accuracy"]) == additive_accuracy(plans[3])


def test_markdown_has_a_row_for_each_member_and_escapes_what_would_break_it(tmp_path: Path) -> None:
    record = read_record(write_run(tmp_path / "run", layers=("a|b", "<script>")))
    head, rule, *rows = front_markdown(record)
    assert len(rows) == len(record.members)
    cells = head.count("|")
    assert rule.count("|") == cells
    for row in rows:
        assert row.replace(r"\|", "").count("|") == cells
        assert "<" not in row
        assert r"a\|b" in row
