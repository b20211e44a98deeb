"""Trials in an SQLite file: append, read, resume."""

import json
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from math import isfinite
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from narrower.errors import RunError
from narrower.store.facts import check_facts
from narrower.store.files import FREE_SOME, is_no_space, replacing
from narrower.store.trial import STATES, State, Trial

SCHEMA_VERSION = 1
COMMIT_SECONDS = 0.5  # what finished is on disk well within a second
LARGEST_SQLITE_INTEGER = 2**63 - 1
ROWS_AT_A_TIME = 10_000
LEAST_FREE_BYTES = 2**20  # with less, what fails on a disk fails for want of space

TrialRow = tuple[int, int, State, str | None, float, float, tuple[float | None, ...]]


class TrialStore:
    """The file ``trials.db`` of one run, open for one writer.

    Rows that were appended are committed in groups: by the next ``append`` once ``COMMIT_SECONDS`` have
    passed, by a timer where there is none in that time, and by ``commit``.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, metrics: tuple[str, ...]) -> None:
        self.path = path
        self._connection = connection
        self.metrics = metrics
        self._committed = time.monotonic()
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()  # no commit between the rows of a group
        self._followers: list[Callable[[Sequence[Trial]], None]] = []
        marks = ", ".join("?" for _ in range(6 + len(metrics)))
        self._insert = f"INSERT INTO trials VALUES ({marks})"

    @classmethod
    def create(cls, path: Path, metrics: Sequence[str], facts: Mapping[str, object]) -> "TrialStore":
        """Create the file with the names of the metrics and facts about the run (plain JSON values).

        It appears complete or not at all.

        Raises:
            RunError: it cannot be written, or there is one.
        """
        if path.exists():
            raise RunError(f"{path}: holds a search already")
        columns = "".join(f", {_column(name)} REAL" for name in metrics)
        rows = {"schema": SCHEMA_VERSION, "metrics": list(metrics), **facts}
        for suffix in ("-wal", "-shm"):  # of a file that was taken away
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        with replacing(path) as partial:
            partial.with_name(f"{partial.name}-journal").unlink(missing_ok=True)
            # No write-ahead log yet: it would keep the name of the unfinished file.
            with _explained(path), closing(_connect(partial)) as connection, connection:
                connection.execute("CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
                connection.execute(
                    "CREATE TABLE trials (number INTEGER PRIMARY KEY, plan_index, state TEXT NOT NULL, "
                    f"reason TEXT, seconds REAL NOT NULL, finished REAL NOT NULL{columns})"
                )
                connection.executemany(
                    "INSERT INTO facts VALUES (?, ?)",
                    [(name, json.dumps(value)) for name, value in rows.items()],
                )
        return cls.open(path)

    @classmethod
    def open(cls, path: Path, *, read_only: bool = False) -> "TrialStore":
        """Open an existing file.

        Raises:
            RunError: there is none, or it is not of this kind.
        """
        if not path.is_file():
            raise RunError(f"{path}: no such file; is {path.parent} the directory of a run?")
        connection = _connect(path, read_only)
        try:
            metrics = _metrics(connection, path, read_only)
        except BaseException:
            connection.close()
            raise
        return cls(path, connection, tuple(metrics))

    def facts(self) -> dict[str, object]:
        """What was recorded about the run.

        Raises:
            RunError: it cannot be read, or a fact does not have its form.
        """
        with _explained(self.path):
            rows = self._connection.execute("SELECT name, value FROM facts").fetchall()
            facts = {name: json.loads(value) for name, value in rows}
            check_facts(facts)
        return facts

    def set_fact(self, name: str, value: object) -> None:
        """Record or replace one fact, and commit."""
        with _explained(self.path):
            self._connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, json.dumps(value)))
        self.commit()

    def follow(self, told: Callable[[Sequence[Trial]], None]) -> None:
        """Tell a function of each group of trials after it was added."""
        self._followers.append(told)

    def append(self, rows: Sequence[TrialRow]) -> None:
        """Add trials: number, plan index, state, reason, seconds, finished, and a value for each metric."""
        with _explained(self.path), self._lock:
            self._connection.executemany(
                self._insert,
                [
                    (
                        number,
                        index if index <= LARGEST_SQLITE_INTEGER else str(index),
                        state,
                        reason,
                        seconds,
                        finished,
                        *values,
                    )
                    for number, index, state, reason, seconds, finished, values in rows
                ],
            )
        if time.monotonic() - self._committed > COMMIT_SECONDS:
            self.commit()
        elif self._timer is None:  # the next proposal, or the next plans, may take long
            self._timer = threading.Timer(COMMIT_SECONDS, self._commit_late)
            self._timer.daemon = True
            self._timer.start()
        if self._followers and rows:
            trials = [self._trial((*row[:6], *row[6])) for row in rows]
            for told in self._followers:
                told(trials)

    def _commit_late(self) -> None:
        with suppress(sqlite3.Error), self._lock:  # the next commit says what is wrong
            self._connection.commit()
        self._timer = None

    def commit(self) -> None:
        """Bring what was appended to disk."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        with _explained(self.path), self._lock:
            self._connection.commit()
        self._committed = time.monotonic()

    def count(self, state: State | None = None) -> int:
        """How many trials there are, of one state or in all."""
        query, values = "SELECT COUNT(*) FROM trials", ()
        if state is not None:
            query, values = f"{query} WHERE state = ?", (state,)  # type: ignore[assignment]
        with _explained(self.path):
            return int(self._connection.execute(query, values).fetchone()[0])

    def trials(self, numbers: Sequence[int] | None = None, *, first: int = 0) -> Iterator[Trial]:
        """All trials from ``first`` on in order, or those with the given numbers; streamed.

        Memory stays bounded, whatever their number.
        """
        if numbers is None:
            query = "SELECT * FROM trials WHERE number >= ? ORDER BY number"
            with _explained(self.path):
                yield from map(self._trial, self._connection.execute(query, (first,)))
            return
        for number in numbers:
            with _explained(self.path):
                row = self._connection.execute("SELECT * FROM trials WHERE number = ?", (number,)).fetchone()
                if row is None:
                    raise RunError(f"{self.path}: there is no trial {number}")
                yield self._trial(row)

    def table(self, metrics: Sequence[str]) -> NDArray[np.float64]:
        """The number and some metrics [N, 1 + M] of the trials that have them all, in order."""
        names = [_column(name) for name in metrics]
        known = " AND ".join(f"{name} IS NOT NULL" for name in names) or "TRUE"
        query = f"SELECT {', '.join(['number', *names])} FROM trials WHERE {known} ORDER BY number"
        parts = [np.empty((0, 1 + len(names)))]
        with _explained(self.path):
            rows = self._connection.execute(query)
            while some := rows.fetchmany(ROWS_AT_A_TIME):
                parts.append(np.array(some, dtype=np.float64))
            return np.concatenate(parts)

    def _trial(self, row: tuple[object, ...]) -> Trial:
        """A row as it was written.

        Raises:
            ValueError: it has another form.
        """
        number, index, state, reason, seconds, finished, *values = row
        metrics = {n: v for n, v in zip(self.metrics, values, strict=True) if v is not None}
        if not (
            isinstance(number, int)
            and isinstance(index, int | str)
            and state in STATES
            and (reason is None or isinstance(reason, str))
            and all(
                isinstance(v, int | float) and isfinite(v) for v in (seconds, finished, *metrics.values())
            )
        ):
            raise ValueError(f"trial {number!r} is no row that a search writes")
        return Trial(number, int(index), state, metrics, reason, seconds, finished)  # type: ignore[arg-type]

    def close(self) -> None:
        """Commit and close, also where the commit fails."""
        with closing(self._connection):
            self.commit()

    def __enter__(self) -> "TrialStore":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except RunError:
            if error is None:
                raise


def _is_nearly_full(directory: Path) -> bool:
    return shutil.disk_usage(directory).free < LEAST_FREE_BYTES


def _metrics(connection: sqlite3.Connection, path: Path, read_only: bool) -> list[str]:
    """The names of the metrics that a file records.

    Raises:
        RunError: it is damaged, or of another version.
    """
    with _explained(path):
        if not read_only:
            connection.execute("PRAGMA journal_mode = WAL")
        found = connection.execute("SELECT value FROM facts WHERE name = 'schema'").fetchone()
        names = connection.execute("SELECT value FROM facts WHERE name = 'metrics'").fetchone()
        schema = None if found is None else json.loads(found[0])
        metrics = [] if names is None else json.loads(names[0])
    if schema != SCHEMA_VERSION or not isinstance(metrics, list) or not all(map(_is_text, metrics)):
        raise RunError(f"{path}: damaged, or written by another version of narrower (schema {schema})")
    return metrics


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _column(metric: str) -> str:
    """The quoted name of a metric's column."""
    return '"metric {}"'.format(metric.replace('"', '""'))


def _connect(path: Path, read_only: bool = False) -> sqlite3.Connection:
    with _explained(path):
        if read_only:
            name = f"{path.resolve().as_uri()}?mode=ro"
            return sqlite3.connect(name, uri=True, timeout=10.0)
        return sqlite3.connect(path, timeout=10.0, check_same_thread=False)


class _explained:  # noqa: N801 - reads as a phrase: with _explained(path)
    """Turn what SQLite says into words about the file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, ValueError | TypeError | OverflowError | RecursionError):
            raise RunError(f"{self.path}: damaged: {error}") from error
        if isinstance(error, sqlite3.Error):
            # A shared-memory file that cannot grow is an "I/O error".
            if is_no_space(error) or ("disk I/O" in str(error) and _is_nearly_full(self.path.parent)):
                raise RunError(f"{self.path}: {FREE_SOME}: what was committed is safe") from error
            raise RunError(f"{self.path}: {error}") from error
