"""Trials as a table (CSV) and as lines of JSON, in the ``logs`` of a run."""

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO

from narrower.store.files import explaining
from narrower.store.trackers.tracker import TrackedEnd, TrackedSearch, TrackedTrial


class _TextFile:
    """A file that is begun anew with all trials of the run whenever a search goes on."""

    name = ""

    def begin(self, search: TrackedSearch) -> int:
        """Make the file.

        Raises:
            OutputError: it cannot be written.
        """
        self._path = search.directory / "logs" / self.name
        self._metrics = search.metrics
        with explaining(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[str] = self._path.open("w", newline="", encoding="utf-8")
        return 0

    def end(self, end: TrackedEnd) -> None:  # noqa: ARG002 - the front lies in front.json
        """Close the file."""
        with explaining(self._path):
            self._file.close()


class JsonLines(_TextFile):
    """``logs/trials.jsonl``: one object for each trial, its metrics and its plan tables of their own."""

    name = "trials.jsonl"

    def trials(self, trials: Sequence[TrackedTrial]) -> None:
        """Append a line for each."""
        with explaining(self._path):
            self._file.writelines(json.dumps(asdict(trial)) + "\n" for trial in trials)
            self._file.flush()


class CsvFile(_TextFile):
    """``logs/trials.csv``: one row for each trial, a column for each metric and each format of a layer."""

    name = "trials.csv"

    def begin(self, search: TrackedSearch) -> int:
        """Make the file; its header follows with the first trials, whose plans name its columns."""
        self._columns: list[str] = []
        return super().begin(search)

    def trials(self, trials: Sequence[TrackedTrial]) -> None:
        """Append a row for each; a column that is new makes the file anew, with empty cells above it."""
        fixed = ["number", "state", "reason", "seconds", "finished", *self._metrics]
        columns = list(dict.fromkeys([*(self._columns or fixed), *(name for t in trials for name in t.plan)]))
        with explaining(self._path):
            if columns != self._columns:
                self._widen(columns)
            writer = csv.DictWriter(self._file, columns, lineterminator="\n")
            writer.writerows(
                {
                    "number": trial.number,
                    "state": trial.state,
                    "reason": trial.reason,
                    "seconds": trial.seconds,
                    "finished": trial.finished,
                    **trial.metrics,
                    **trial.plan,
                }
                for trial in trials
            )
            self._file.flush()

    def _widen(self, columns: list[str]) -> None:
        earlier = _rows(self._path)
        self._columns = columns
        self._file.seek(0)
        self._file.truncate()
        writer = csv.DictWriter(self._file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(earlier)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
