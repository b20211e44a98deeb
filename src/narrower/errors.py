"""What a user can get wrong, and what stops a run from outside."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import PurePath

PYTHON = ".py"  # ending of a module's file, which its name lacks


class NarrowerError(Exception):
    """A mistake that the user can mend; the message says how. Commands end with exit code 2."""


class SettingsError(NarrowerError):
    """A settings file or a command-line option is wrong."""


class SeveralMistakesError(SettingsError):
    """Everything that is wrong with one settings file, a line of the message for each mistake."""

    def __init__(self, mistakes: Iterable[str], heading: str = "several mistakes") -> None:
        self.mistakes = tuple(dict.fromkeys(mistakes))
        lines = [mistake.replace("\n", "\n    ") for mistake in self.mistakes]
        many = f"{heading}: {len(lines)} mistakes" if len(lines) > 1 else ""
        super().__init__("\n  ".join([many, *lines]) if many else lines[0])


class Mistakes:
    """Collects what is wrong, so that all of it is said at once."""

    def __init__(self) -> None:
        self.found: list[str] = []

    @contextmanager
    def about(self, key: str = "") -> Iterator[None]:
        """Go on after what is wrong inside; ``key`` is the key of the settings file that it is about."""
        start = f"{key}: " if key else ""
        try:
            yield
        except SeveralMistakesError as error:
            self.found += [f"{start}{mistake}" for mistake in error.mistakes]
        except NarrowerError as error:
            self.found.append(f"{start}{error}")

    def check(self) -> None:
        """End here if anything was wrong.

        Raises:
            SeveralMistakesError: with every mistake.
        """
        if self.found:
            raise SeveralMistakesError(self.found)


class UnknownNameError(NarrowerError):
    """A name (of a model, data set, layer, metric, ...) that does not exist."""


class ModelError(NarrowerError):
    """A model cannot be loaded, traced or changed as asked."""


class DataError(NarrowerError):
    """A data set cannot be loaded or does not fit the model."""


class AbsentDataError(DataError):
    """The file of a data set is not here; what it would hold may be known all the same."""


class CheckpointError(NarrowerError):
    """A checkpoint cannot be read, or does not fit the model."""


class RunError(NarrowerError):
    """A run directory cannot be created, read, resumed or written."""


class BusyRunError(RunError):
    """Another process is writing to the run."""


class OutputError(NarrowerError):
    """A file cannot be written where it is to be written."""


class TrackerError(NarrowerError):
    """A tracker cannot begin: its server does not answer, or its database cannot be written."""


class StopSearch(Exception):  # noqa: N818 - no error: a callback raises it to end a search
    """Raised by a callback: the search ends with the plans that were scored so far."""


class DivergedError(RunError):
    """The sampler of a resumed run proposes other plans than those recorded."""


class ExportError(NarrowerError):
    """A plan cannot be exported as asked, or the artefact differs from what was simulated."""


class AllTrialsFailedError(Exception):
    """No plan of a search could be scored; commands end with exit code 1 and say why."""


class MissingExtraError(NarrowerError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs the package {package!r}: pip install 'narrower[{extra}]'")


def require_extra(package: str, extra: str, purpose: str) -> None:
    """Check that an optional dependency is there before anything is done that needs it.

    Raises:
        MissingExtraError: with the command that installs it.
    """
    if find_spec(package) is None:
        raise MissingExtraError(package, extra, purpose)


@contextmanager
def starting(where: str) -> Iterator[None]:
    """Let mistakes in data begin with where they were found."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{where}: {error}") from error


def nearest(name: str, known: Iterable[str]) -> str:
    """Return " (did you mean 'x'?)" for the closest known name, or an empty string."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (did you mean {matches[0]!r}?)" if matches else ""


def module_of_file(file: str) -> str:
    """How Python calls a file of its own that is written with folders and ``.py``."""
    path = PurePath(file)
    parts = path.with_suffix("").parts
    return path.stem if path.is_absolute() or ".." in parts else ".".join(parts)


def unknown_name(what: str, name: str, known: Iterable[str]) -> UnknownNameError:
    """Build the error for a name that is not in ``known``, with all allowed names."""
    names = list(known)
    allowed = ", ".join(names) if names else "none"
    return UnknownNameError(f"unknown {what} {name!r}{nearest(name, names)}; allowed: {allowed}")


def spelled(name: str, other_names: Mapping[str, str] | None = None) -> str:
    """A name as it is listed: underscores and hyphens are the same, and so are capitals."""
    plain = name.lower().replace("_", "-")
    return (other_names or {}).get(plain, plain)


def canonical_name(
    what: str,
    name: str,
    known: Iterable[str],
    *,
    other_names: Mapping[str, str] | None = None,
    elsewhere: Mapping[str, str] | None = None,
) -> str:
    """The listed spelling of a name of ``what``.

    ``other_names`` are those that others use; ``elsewhere`` says of names that exist in other tools only what
    there is instead.

    Raises:
        UnknownNameError: the name is not listed.
    """
    if name.endswith(PYTHON):
        raise UnknownNameError(f"unknown {what} {name!r}; {module_of_file(name)}:NAME is NAME of that file")
    names, plain = list(known), spelled(name, other_names)
    if plain in names:
        return plain
    if elsewhere and plain in elsewhere:
        raise UnknownNameError(f"{what} {name!r} {elsewhere[plain]}; allowed: {', '.join(names)}")
    raise unknown_name(what, name, [*names, "package.module:name"])
