import sqlite3
from dataclasses import replace
from math import log
from pathlib import Path

import pytest

from narrower.errors import RunError
from narrower.report.findings import read_findings
from narrower.report.record import RunRecord
from tests.report.made_up_run import all_widths, bitops, write_run


def test_columns_hold_the_metrics_of_complete_trials_in_order(tmp_path: Path) -> None:
    tried = [5, 0, 35, 17]
    table = read_findings(write_run(tmp_path / "run", tried=tried, failed={1: "broke"})).table
    plans = all_widths(("stem", "head"))
    assert table.numbers.tolist() == [0, 2, 3]
    assert table.metrics["bitops"].tolist() == [bitops(plans[index]) for index in (5, 35, 17)]


def test_options_are_the_digits_of_the_plan_number(tmp_path: Path) -> None:
    table = read_findings(write_run(tmp_path / "run", tried=[0, 7, 35])).table
    assert table.options.tolist() == [[0, 0], [1, 1], [5, 5]]  # by hand: 7 = 1 * 6 + 1


def test_pauses_before_a_resume_are_left_out(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", tried=[0, 1, 2, 3])
    with sqlite3.connect(run.trials) as connection:  # the clock of a resumed search begins again at zero
        connection.executemany(
            "UPDATE trials SET finished = ? WHERE number = ?", [(1.0, 0), (2.5, 1), (0.5, 2), (0.75, 3)]
        )
    connection.close()
    assert read_findings(run).table.seconds.tolist() == [1.0, 2.5, 3.0, 3.25]


def test_trials_that_break_a_constraint_are_not_admitted(tmp_path: Path) -> None:
    run = write_run(
        tmp_path / "run",
        change=lambda record: replace(
            record, constraints=({"metric": "accuracy", "minimum": 0.8, "maximum": None},)
        ),
    )
    table = read_findings(run).table
    assert table.admitted.tolist() == [value >= 0.8 for value in table.metrics["accuracy"]]
    assert 0 < table.admitted.sum() < len(table)


def test_the_reference_point_is_chance_and_the_dearest_plan(tmp_path: Path) -> None:
    findings = read_findings(write_run(tmp_path / "run"))
    assert findings.reference == {"accuracy": 1 / 4, "bitops": 300 * 64.0}  # 4 classes; 8 x 8 bits everywhere


def test_the_reference_of_a_loss_is_that_of_guessing(tmp_path: Path) -> None:
    objectives = (
        {"metric": "loss", "direction": "minimize", "scale": 1.0},
        {"metric": "model_size", "direction": "minimize", "scale": 1.0},
    )

    def change(record: RunRecord) -> RunRecord:
        members = tuple(replace(m, metrics={**m.metrics, "loss": 0.5}) for m in record.members)
        return replace(record, objectives=objectives, worst_costs=None, members=members)

    run = write_run(tmp_path / "run", change=change)
    # of model_size nothing is recorded: the worst trial, 2 layers of 100 weights at 8 bits
    assert read_findings(run).reference == {"loss": log(4), "model_size": 200.0}


def test_a_run_that_does_not_record_its_space_is_refused(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", tried=[0])
    with sqlite3.connect(run.trials) as connection:
        connection.execute("DELETE FROM facts WHERE name = 'space slots'")
    connection.close()
    with pytest.raises(RunError, match="does not say what its plans are"):
        read_findings(run)
