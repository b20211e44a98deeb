"""What happened in a run, line by line with the time: ``log.txt``."""

from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from narrower.errors import RunError


class RunLog:
    """Appends lines; how the run ended is the last of them."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, text: str) -> None:
        """Add one line.

        Raises:
            RunError: it cannot be written.
        """
        line = f"{datetime.now(UTC).isoformat(timespec='milliseconds')} {' '.join(text.split())}\n"
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(line)
        except OSError as error:
            raise RunError(f"{self._path}: cannot be written: {error.strerror}") from error

    def __enter__(self) -> "RunLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            try:
                self.write(f"ended with {type(error).__name__}: {error}")
            except RunError:
                return  # the first error says more
