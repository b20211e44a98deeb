"""Of a damaged run every reader says in a sentence what is wrong, and other searches go on."""

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from narrower.store.run_directory import RunDirectory
from tests.conftest import RunNarrower

READERS = (
    ("show", "runs/a"),
    ("show", "runs/a", "--csv", "--all"),
    ("pick", "runs/a", "--knee"),
    ("report", "runs/a"),
    ("export-study", "runs/a", "study.db"),
    ("export", "runs/a", "--trial", "0"),
    ("latency", "runs/a"),
    ("search", "--resume", "runs/a"),
)
ONLY_TRIALS = (("show", "runs/a", "--csv", "--all"), ("search", "--resume", "runs/a"))


@pytest.fixture
def run(small_run: RunDirectory) -> RunDirectory:
    return RunDirectory(Path(shutil.copytree(small_run.path, "runs/a")))


def refused(run_narrower: RunNarrower, readers: tuple[tuple[str, ...], ...], said: str = "") -> None:
    for command in readers:
        code, out, err = run_narrower(*command)
        assert code == 2, (command, err)
        assert "Traceback" not in err
        assert "error: " in err
        assert said in err
        assert out == "" or command[0] == "show"


WAYS: dict[str, Callable[[Path], object]] = {
    "cut short": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "empty": lambda path: path.write_bytes(b""),
    "noise": lambda path: path.write_bytes(b"\xff\xfe\x00" * 500),
    "a directory": lambda path: (path.unlink(), path.mkdir()),
    "a pipe": lambda path: (path.unlink(), os.mkfifo(path)),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("file", ["front.json", "trials.db", "settings.toml", "models/float32.safetensors"])
def test_each_file_that_is_damaged_is_named(
    run_narrower: RunNarrower, run: RunDirectory, file: str, way: str
) -> None:
    WAYS[way](run.path / file)
    readers = tuple(c for c in READERS if file != "front.json" or c not in ONLY_TRIALS)
    refused(run_narrower, readers, "" if file == "trials.db" else file)
    code, out, _ = run_narrower("runs")
    assert code == 0
    assert ("runs/a" in out) == (run.trials.is_file())


def _set(*path: str | int, value: object) -> Callable[[Any], None]:
    def change(record: Any) -> None:
        for key in path[:-1]:
            record = record[key]
        record[path[-1]] = value

    return change


CHANGES = {
    "a list": _set("members", value={}),
    "a text for a number": _set("members", 0, "number", value="0"),
    "no number": _set("summary", "seconds", value=float("nan")),
    "an unknown direction": _set("objectives", 0, "direction", value="up"),
    "an objective without scale": _set("objectives", 0, value={"metric": "accuracy"}),
    "no objective": _set("objectives", value=[]),
    "no classes": _set("classes", value=0),
    "a missing metric": _set("members", 0, "metrics", value={"bitops": 1.0}),
    "float32 without accuracy": _set("float32", value={}),
    "an unknown key": _set("summary", "dominatee", value=0),
    "a member's plan": _set("members", 0, "plan", value={"seq_blocks.2": {"data": "fixed(8,frac=4)"}}),
    "a member's accuracy": _set("members", 0, "metrics", "accuracy", value=0.99),
    "a number that no trial has": _set("members", 0, "number", value=10**30),
    "weights elsewhere": _set("members", 0, "weights", value="/etc/passwd"),
    "half a latency": _set("members", 0, "latency", value={"ratio": 1.0}),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_front_that_is_no_record_of_this_search_is_refused(
    run_narrower: RunNarrower, run: RunDirectory, what: str
) -> None:
    record = json.loads(run.front.read_text(encoding="utf-8"))
    CHANGES[what](record)
    run.front.write_text(json.dumps(record), encoding="utf-8")
    refused(run_narrower, tuple(c for c in READERS if c not in ONLY_TRIALS))


FACTS = {
    "space slots": [5, [], [[]], [[{"a": {"data": "fixed(99999999999,frac=2)"}}]], {"a": 1}],
    "environment": [5, [], {"versions": []}, {"versions": {"torch": 5}}],
    "sample count": ["256", 0, -1, None],
    "threads": [0, 10**9, "1", True],
    "batch size": [0, 2**80, 1.5],
    "metrics": [5, [1], ["accuracy"]],
    "schema": [2, "x", None],
    "member files": [{"../../../etc/passwd": "0"}, []],
}


@pytest.mark.parametrize("name", FACTS)
def test_facts_of_another_form_are_refused(run_narrower: RunNarrower, run: RunDirectory, name: str) -> None:
    for value in (*map(json.dumps, FACTS[name]), "{", "", "[" * 100_000):
        with closing(sqlite3.connect(run.trials)) as connection, connection:
            connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))
        refused(run_narrower, READERS[:5], "trials.db")


ROWS = {
    "state": ["lost", None, b"\xff"],
    "plan_index": ["x", -1, 216, "9" * 400, None],
    "finished": ["x", float("inf")],
    "metric accuracy": ["x", float("inf"), b"\xff"],
    "reason": [b"\xff"],
}


@pytest.mark.parametrize("column", ROWS)
def test_rows_that_no_search_writes_are_refused(
    run_narrower: RunNarrower, run: RunDirectory, column: str
) -> None:
    for value in ROWS[column]:
        with closing(sqlite3.connect(run.trials)) as connection, connection:
            connection.execute("PRAGMA ignore_check_constraints = ON")
            connection.execute(f'UPDATE OR IGNORE trials SET "{column}" = ?', (value,))
            (stored,) = connection.execute(f'SELECT "{column}" FROM trials').fetchone()
        if stored == value or isinstance(value, bytes):  # NOT NULL columns keep what they had
            refused(run_narrower, READERS[1:5])


def test_a_gap_among_the_trials_is_no_assertion(run_narrower: RunNarrower, run: RunDirectory) -> None:
    with closing(sqlite3.connect(run.trials)) as connection, connection:
        connection.execute("DELETE FROM trials WHERE number = 3")
    refused(run_narrower, (("search", "--resume", "runs/a"),), "damaged")


def test_a_new_search_beside_damaged_runs_says_so_and_goes_on(
    run_narrower: RunNarrower, run: RunDirectory
) -> None:
    shutil.copytree(run.path, "runs/b")
    shutil.copytree(run.path, "runs/c")
    Path("runs/b/trials.db").write_bytes(b"SQLite format 3\x00" + b"x" * 500)
    with closing(sqlite3.connect("runs/c/trials.db")) as connection, connection:
        connection.execute("UPDATE facts SET value = '[[5' WHERE name = 'space slots'")
    options = ("--model", "jsc-toy", "--dataset", "jets", "--samples", "256", "--trials", "12")
    settings = ("--sampler", "random", "--load", run.weights, "--project", "new", "--json")
    code, out, err = run_narrower("search", *options, *settings)
    assert code == 0, err
    for name in ("b", "c"):
        assert f"warning: an earlier run is passed over: runs/{name}/trials.db" in err
    assert json.loads(out)["summary"]["taken_over"] == 12
    with closing(sqlite3.connect(run.trials)) as connection, connection:
        connection.execute('UPDATE trials SET "metric accuracy" = 0.1234 WHERE number = 5')
    code, _, err = run_narrower("search", *options, *settings)
    assert code == 0
    assert "is no share of 256 samples" in err
