"""A run: a directory with everything that one command produced."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from narrower.errors import BusyRunError, RunError
from narrower.store.files import check_output_directory, explaining

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
        """The weights after the last epoch, where the model was trained for this run."""
        return self.path / "checkpoints" / "best.ckpt"

    @property
    def weights(self) -> Path:
        """The weights that the trials were scored with."""
        return self.path / "models" / "float32.safetensors"

    def member(self, number: int) -> Path:
        """The weights of a trial that was trained on its own, with its plan."""
        return self.path / "models" / f"trial-{number}.safetensors"

    def require(self, *files: Path) -> None:
        """Check that this is the directory of a search, and that it has these files.

        Raises:
            RunError: it is not, or one is missing.
        """
        if not self.path.is_dir():
            raise RunError(f"{self.path}: no such run; 'narrower runs' lists what there is")
        if not self.trials.is_file():
            raise RunError(f"{self.path}: no search was run here (no {self.trials.name})")
        for file in files:
            if not file.is_file():
                raise RunError(f"{file}: missing, or no regular file; without it the search cannot go on")

    @contextmanager
    def locked(self) -> Iterator["RunDirectory"]:
        """Keep other processes from writing to the run; the lock ends with the process, however it ends.

        Raises:
            BusyRunError: another process holds it.
            OutputError: the directory cannot be written.
        """
        check_output_directory(self.path)
        with explaining(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT | os.O_NONBLOCK, 0o666)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise BusyRunError(f"{self.path}: another process is writing to this run") from None
            yield self
        finally:
            os.close(lock)


IsTaken = Callable[[RunDirectory], bool]


def first_free(project: str, is_taken: IsTaken) -> RunDirectory:
    """The first of runs/PROJECT, runs/PROJECT-2, ... that is not taken; another process may take it.

    Raises:
        RunError: the name is no name for a directory.
    """
    return next(run for run in _numbered(project) if not is_taken(run))


@contextmanager
def claimed(project: str, is_taken: IsTaken) -> Iterator[RunDirectory]:
    """The first of runs/PROJECT, runs/PROJECT-2, ... that is not taken, locked: nobody else can take it.

    Raises:
        RunError: the name is no name for a directory.
        OutputError: the directory cannot be written.
    """
    for run in _numbered(project):
        if is_taken(run):
            continue
        with ExitStack() as held:
            try:
                held.enter_context(run.locked())
            except BusyRunError:
                continue
            if not is_taken(run):  # while it was not locked, another process may have come and gone
                yield run
                return


def _numbered(project: str) -> Iterator[RunDirectory]:
    name = project.replace(":", "-")
    if Path(name).name != name or name in ("", ".", "..") or "\0" in name:
        raise RunError(f"project {project!r} is no name for a directory below {RUNS}")
    yield RunDirectory(RUNS / name)
    for number in count(2):
        yield RunDirectory(RUNS / f"{name}-{number}")


def list_runs(parent: Path = RUNS) -> list[RunDirectory]:
    """The searches below a directory, oldest first."""
    found = []
    with suppress(OSError):  # no such directory, or not for this user
        for path in parent.iterdir():
            run = RunDirectory(path)
            with suppress(OSError):
                if run.trials.is_file():
                    found.append((run.trials.stat().st_mtime, str(path), run))
    return [run for _, _, run in sorted(found, key=lambda entry: entry[:2])]
