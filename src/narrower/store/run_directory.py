"""A run: a directory with everything that one command produced."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from narrower.errors import RunError
from narrower.files import check_output_directory

RUNS = Path("runs")


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """Where the files of one run lie."""

    path: Path

    @property
    def settings(self) -> Path:
        """Everything resolved: enough to run it again."""
        return self.path / "settings.toml"

    @property
    def trials(self) -> Path:
        """Space, trials, metrics, seeds, versions, git state."""
        return self.path / "trials.db"

    @property
    def front(self) -> Path:
        """The front and the summary, as JSON."""
        return self.path / "front.json"

    @property
    def log(self) -> Path:
        return self.path / "log.txt"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @property
    def checkpoint(self) -> Path:
        """The weights of the best epoch, where the model was trained for this run."""
        return self.path / "checkpoints" / "best.ckpt"

    @property
    def weights(self) -> Path:
        """The weights that the trials were scored with."""
        return self.path / "models" / "float32.safetensors"

    def member(self, number: int) -> Path:
        """The weights of a trial that was trained on its own, with its plan."""
        return self.path / "models" / f"trial-{number}.safetensors"

    def require(self) -> None:
        """Check that this is the directory of a search.

        Raises:
            RunError: it is not.
        """
        if not self.path.is_dir():
            raise RunError(f"{self.path}: no such run; 'narrower runs' lists what there is")
        if not self.trials.is_file():
            raise RunError(f"{self.path}: no search was run here (no {self.trials.name})")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from writing to the run; the lock ends with the process, however it ends.

        Raises:
            RunError: another process holds it, or the directory cannot be written.
        """
        check_output_directory(self.path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = (self.path / ".lock").open("a")
        except OSError as error:
            raise RunError(f"{self.path}: cannot be written: {error.strerror}") from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise RunError(f"{self.path}: another process is writing to this run") from None
            yield


def list_runs(parent: Path = RUNS) -> list[RunDirectory]:
    """The searches below a directory, oldest first."""
    if not parent.is_dir():
        return []
    found = [RunDirectory(path) for path in parent.iterdir() if (path / "trials.db").is_file()]
    return sorted(found, key=lambda run: (run.trials.stat().st_mtime, str(run.path)))
