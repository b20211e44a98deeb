"""``report``, ``show --csv``, ``show --markdown`` and ``export-study`` as a user calls them."""

import csv
import sqlite3
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from narrower.cli import console
from narrower.cli.print_record import print_record
from narrower.report.read_record import read_record
from narrower.store.run_directory import RunDirectory
from tests.cli.settings_file import settings_file
from tests.conftest import RunNarrower
from tests.report.made_up_run import write_run


def test_report_writes_the_page_into_the_run(run_narrower: RunNarrower) -> None:
    run = write_run(Path("run"))
    code, out, err = run_narrower("report", "run")
    assert (code, out) == (0, "")
    assert "report.html" in err
    assert run.report.read_text().startswith("<!doctype html>")


def test_a_search_records_what_its_report_needs(run_narrower: RunNarrower, trained: Path) -> None:
    config = settings_file(
        Path("a.toml"),
        layers=("seq_blocks_5", "seq_blocks_8"),
        biases="[8]",
        cost="bitops",
        setup="n_trials = 9",
    )
    assert run_narrower("search", "--config", config, "--load", trained, "--json")[0] == 0
    run = RunDirectory(Path("runs/toy"))
    record = read_record(run)
    floats = record.float32
    assert sum(layer.bytes for layer in record.layers) == floats["model_size"]
    assert sum(layer.bitops for layer in record.layers) == floats["bitops"]
    for member in record.members:
        assert sum((member.layer_bitops or {}).values()) == member.metrics["bitops"]
        assert sum((member.layer_bytes or {}).values()) == member.metrics["model_size"]
    # by hand: seq_blocks.2 stays in float32 (16 x 8 products of 32 x 32 bits), the others have 8 x 8 bits
    assert record.worst_costs == {"bitops": 128 * 1024 + (64 + 40) * 64}
    code, _, err = run_narrower("report", "runs/toy")
    assert code == 0, err
    code, _, err = run_narrower("export-study", "runs/toy", "study.db")
    assert (code, "9 trials" in err) == (0, True)


def test_report_writes_page_and_pictures_where_it_is_told(run_narrower: RunNarrower) -> None:
    write_run(Path("run"))
    code, _, _ = run_narrower("report", "run", "--output", "pages/mine.html", "--png")
    assert code == 0
    assert Path("pages/mine.html").is_file()
    assert {path.name for path in Path("pages/mine-plots").iterdir()} >= {"front-bitops.png", "widths.png"}


@pytest.mark.parametrize(("width", "is_wide"), [(80, False), (100, False), (300, True)])
def test_the_front_fits_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int, is_wide: bool
) -> None:
    run = write_run(tmp_path / "run")
    record, text = read_record(run), StringIO()
    terminal = Console(file=text, width=width, force_terminal=True, color_system=None, highlight=False)
    monkeypatch.setattr(console, "results", lambda: terminal)
    print_record(record, run)
    lines = text.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    for word in ("number", "software_metrics", "hardware_metrics", "scaled_metrics", "plan"):
        assert word in lines[1 if not is_wide else 2]  # no heading is broken
    for member in record.members:
        accuracy = f"{member.metrics['accuracy']:.4f}"
        assert any(f"accuracy {accuracy}" in line for line in lines) != is_wide
    assert ("'bitops'" in text.getvalue()) == is_wide


def test_show_prints_tables_for_other_programs(run_narrower: RunNarrower) -> None:
    write_run(Path("run"), tried=[0, 35, 7])
    code, out, _ = run_narrower("show", "run", "--csv", "--all")
    assert code == 0
    assert [row["plan_index"] for row in csv.DictReader(out.splitlines())] == ["0", "35", "7"]
    code, out, _ = run_narrower("show", "run", "--csv")
    assert code == 0
    assert {row["plan_index"] for row in csv.DictReader(out.splitlines())} <= {"0", "35", "7"}
    code, out, _ = run_narrower("show", "run", "--markdown")
    assert code == 0
    assert out.splitlines()[1].startswith("| ---: |")


def test_export_study_writes_a_file_that_sqlite_reads(run_narrower: RunNarrower) -> None:
    write_run(Path("run"))
    code, _, err = run_narrower("export-study", "run", "study.db")
    assert (code, "36 trials" in err) == (0, True)
    connection = sqlite3.connect("study.db")
    assert connection.execute("SELECT study_name FROM studies").fetchall() == [("run",)]
    assert connection.execute("SELECT COUNT(*) FROM trials").fetchall() == [(36,)]
    connection.close()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("report", "nowhere"), "no such run"),
        (("report", "run", "--output", "run/settings.toml/page.html"), "cannot be written"),
        (("export-study", "run", "run/trials.db"), "exists already"),
        (("export-study", "nowhere", "study.db"), "no such run"),
        (("show", "run", "--csv", "--markdown"), "one of --json, --csv and --markdown"),
        (("show", "run", "--all"), "--all goes with --csv"),
        (("show", "nowhere", "--csv", "--all"), "no such run"),
    ],
)
def test_mistakes_are_explained(run_narrower: RunNarrower, arguments: tuple[str, ...], said: str) -> None:
    write_run(Path("run"))
    code, _, err = run_narrower(*arguments)
    assert code == 2
    assert said in err
