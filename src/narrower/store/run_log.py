"""What happened in a run, line by line with the time: ``log.txt``."""

import os
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from narrower.errors import NarrowerError
from narrower.store.files import explaining


class RunLog:
    """Appends lines; how the run ended is the last of them."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, text: str) -> None:
        """Add one line.

        Raises:
            OutputError: it cannot be written.
        """
        line = f"{datetime.now(UTC).isoformat(timespec='milliseconds')} {' '.join(text.split())}\n"
        with explaining(self._path):
            # Not blocking: a pipe in its place is refused instead of waited for.
            log = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, 0o666)
            with open(log, "ab", buffering=0) as file:
                file.write(line.encode("utf-8", errors="backslashreplace"))

    def __enter__(self) -> "RunLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            try:
                self.write(f"ended with {type(error).__name__}: {error}")
            except NarrowerError:
                return  # the first error says more
