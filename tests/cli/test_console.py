"""User text never reaches a terminal as commands, and every terminal gets something that it can show."""

import io
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from narrower.cli.console import number_text, plain, print_lines, print_table, results
from tests.conftest import RunNarrower
from tests.report.made_up_run import write_run


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain: 1 × 2 – ü 猫", "plain: 1 × 2 – ü 猫"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x1b]0;title\x07", "\\u001b]0;title\\u0007"),
        ("\x9b31m\x7f\r", "\\u009b31m\\u007f\\u000d"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        (os.fsdecode(b"n\xff"), "n\\udcff"),
        ("[red]:100:[/]", "[red]:100:[/]"),
    ],
)
def test_what_a_terminal_would_obey_is_spelled_out(text: str, shown: str) -> None:
    assert plain(text) == shown


@pytest.mark.parametrize("name", ["a:100:b", "[bold]x[/bold]", "[/nothing]", "e\x1b[31mvil\x1b]0;t\x07"])
def test_names_in_errors_and_tables_are_shown_as_they_are(run_narrower: RunNarrower, name: str) -> None:
    run = f"runs/{name.replace('/', '-')}"
    code, _, err = run_narrower("show", run)
    assert code == 2
    assert f"error: {plain(run)}: no such run" in err
    assert "\x1b" not in err
    write_run(Path(run), model=name, layers=(name, "head"))
    for command in (("runs",), ("show", run), ("show", run, "--csv")):
        code, out, err = run_narrower(*command)
        assert code == 0
        assert "\x1b" not in out
        assert plain(name) in out + err
    code, out, _ = run_narrower("runs", "--json")
    assert json.loads(out)[0]["model"] == name
    code, out, _ = run_narrower("pick", run, "--knee")
    assert code == 0
    assert tomllib.loads(out)["model"] == name


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_terminal_without_unicode_gets_plainer_characters(encoding: str) -> None:
    run = write_run(Path("runs/猫"))
    for command in (["show", str(run.path)], ["runs"], ["show", str(run.path), "--json"], ["show", "×→"]):
        done = subprocess.run(
            [sys.executable, "-m", "narrower", *command],
            capture_output=True,
            env={**os.environ, "PYTHONIOENCODING": encoding},
            check=False,
        )
        assert done.returncode == (2 if command[-1] == "×→" else 0), done.stderr
        text = done.stdout.decode(encoding) + done.stderr.decode(encoding)
        assert text.strip()
        assert "Traceback" not in text
        if command == ["runs"]:
            assert ("\\u732b" in text) == (encoding != "utf-8")


@pytest.mark.parametrize("columns", ["0", "1", "7", "-3", "²", "", "many", "9" * 5000])
def test_every_width_that_is_said_gives_a_whole_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    print_table(("name", "value"), [("first", 1), ("second", 2)], title="both")
    out = capsys.readouterr().out
    assert all(word in out for word in ("both", "name", "first", "second"))
    assert results().width >= 20


def test_lines_are_never_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    written = io.StringIO()
    monkeypatch.setattr(sys, "stdout", written)
    print_lines(["# " + "a comment of TOML " * 20])
    assert written.getvalue().count("\n") == 1


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.66061, "0.6606"), (-2.5, "-2.5000"), (9999.5, "9999.5000"), (1437986644.8302, "1,437,986,645")],
)
def test_large_measured_numbers_have_no_digits_behind_the_point(value: float, text: str) -> None:
    assert number_text(value) == text
