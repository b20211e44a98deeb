"""Events as TensorBoard reads them, and a search that is told there."""

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from narrower.store.files import explaining
from narrower.store.trackers.tracker import TrackedEnd, TrackedSearch, TrackedTrial


def open_events(directory: Path) -> IO[bytes]:
    """A new file of events in a directory, which is made where there is none."""
    directory.mkdir(parents=True, exist_ok=True)
    return (directory / f"events.out.tfevents.{time.time_ns() // 10**9}.narrower").open("ab")


def write_events(file: IO[bytes], rows: Sequence[tuple[int, Mapping[str, float]]]) -> None:
    """Append the values of steps by name, and bring them to disk."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.record_writer import RecordWriter

    writer: Any = RecordWriter(file)
    now = time.time()
    if file.tell() == 0:
        writer.write(Event(wall_time=now, file_version="brain.Event:2").SerializeToString())
    for step, values in rows:
        summary = Summary(value=[Summary.Value(tag=name, simple_value=values[name]) for name in values])
        writer.write(Event(wall_time=now, step=step, summary=summary).SerializeToString())
    file.flush()


class TensorBoard:
    """``logs/tensorboard/search``: the metrics of each trial, with its number as the step."""

    def begin(self, search: TrackedSearch) -> int:
        """Make a file of events.

        Raises:
            OutputError: it cannot be written.
        """
        self._directory, self._open = search.directory / "logs" / "tensorboard" / "search", ExitStack()
        with explaining(self._directory):
            self._file = self._open.enter_context(open_events(self._directory))
        return search.told

    def trials(self, trials: Sequence[TrackedTrial]) -> None:
        """Append the metrics of those that have some."""
        with explaining(self._directory):
            write_events(self._file, [(trial.number, trial.metrics) for trial in trials])

    def end(self, end: TrackedEnd) -> None:
        """Append what the members of the front reached, by their numbers, and close."""
        front = [
            (member.number, {f"front/{name}": value for name, value in member.metrics.items()})
            for member in end.members
        ]
        with explaining(self._directory):
            write_events(self._file, front)
            self._open.close()
