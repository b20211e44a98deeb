"""The file of trials: a real SQLite file, real errors."""

import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from narrower.errors import RunError
from narrower.store.run_directory import RunDirectory
from narrower.store.trials import TrialRow, TrialStore


def row(number: int, index: int | None = None) -> TrialRow:
    return number, number if index is None else index, "complete", None, 0.1, 1.0, (0.5, None)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TrialStore]:
    with TrialStore.create(tmp_path / "trials.db", ["accuracy", "loss"], {"model": "m"}) as created:
        yield created


def test_what_was_appended_reads_back(store: TrialStore) -> None:
    store.append([row(0), (1, 7, "failed", "NaN", 0.2, 2.0, (None, None))])
    first, second = store.trials()
    assert (first.metrics, first.state) == ({"accuracy": 0.5}, "complete")
    assert (second.plan_index, second.reason, second.metrics) == (7, "NaN", {})
    assert store.count() == 2
    assert store.count("failed") == 1


def test_what_finished_is_on_disk_within_a_second_though_nothing_follows(
    store: TrialStore, tmp_path: Path
) -> None:
    store.append([row(0)])
    time.sleep(1.0)
    with closing(sqlite3.connect(tmp_path / "trials.db")) as other:
        assert other.execute("SELECT COUNT(*) FROM trials").fetchone() == (1,)


def test_plan_numbers_beyond_64_bits_survive(store: TrialStore, tmp_path: Path) -> None:
    store.append([row(0, 2**200 + 1)])
    store.commit()
    with TrialStore.open(tmp_path / "trials.db") as again:
        (trial,) = again.trials()
    assert trial.plan_index == 2**200 + 1


def test_a_full_disk_is_explained_and_the_run_still_opens(store: TrialStore, tmp_path: Path) -> None:
    store.append([row(number) for number in range(10)])
    store.commit()
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(RunError, match=r"full.*free some space"):
        store.append([row(number) for number in range(10, 100_000)])
    with TrialStore.open(tmp_path / "trials.db", read_only=True) as again:
        assert [trial.number for trial in again.trials()] == list(range(10))


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("hello" * 1000, encoding="utf-8")
    sqlite3.connect(tmp_path / "other.db").execute("CREATE TABLE facts (name, value)").connection.close()
    for name in ("text.db", "other.db", "none.db"):
        with pytest.raises(RunError, match=name):
            TrialStore.open(tmp_path / name)


HOLD = """
import sys, time
from narrower.store.run_directory import RunDirectory
from pathlib import Path
with RunDirectory(Path(sys.argv[1])).locked():
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_process_on_the_same_run_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(run.path)], stdout=subprocess.PIPE)
    assert other.stdout is not None
    assert other.stdout.readline() == b"held\n"
    with pytest.raises(RunError, match="another process"), run.locked():
        pass
    other.kill()
    other.communicate()
    with run.locked():
        pass


def test_a_store_never_takes_the_place_of_another(tmp_path: Path) -> None:
    path = tmp_path / "trials.db"
    TrialStore.create(path, ["accuracy"], {}).close()
    content = path.read_bytes()
    with pytest.raises(RunError, match="holds a search already"):
        TrialStore.create(path, ["accuracy"], {})
    assert path.read_bytes() == content


def test_what_a_killed_creation_left_is_in_nobodys_way(tmp_path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        (tmp_path / f".trials.db.partial{suffix}").write_bytes(b"half a file")
    TrialStore.create(tmp_path / "trials.db", ["accuracy"], {"seed": 3}).close()
    with TrialStore.open(tmp_path / "trials.db", read_only=True) as store:
        assert store.facts()["seed"] == 3
