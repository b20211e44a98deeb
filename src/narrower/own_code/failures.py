"""Say of an exception which line of the user's own code raised it."""

import inspect
import linecache
import site
import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from narrower.errors import NarrowerError

PACKAGE = Path(__file__).parents[1]
LONGEST_MESSAGE = 500  # characters of what was raised
_MARK = "(your code, "


class OwnCodeError(NarrowerError):
    """A function or module of the user's own raised; the message says where."""


@contextmanager
def own_code(what: str, kind: type[NarrowerError]) -> Iterator[None]:
    """Say what failed, and where, when the user's code within raises or calls ``sys.exit``.

    Raises:
        NarrowerError: of the given kind.
    """
    try:
        yield
    except (Exception, SystemExit) as error:
        raise kind(f"{what} failed: {described(error)}") from error


def described(error: BaseException) -> str:
    """What was raised, with the user's line where it was their code."""
    if isinstance(error, NarrowerError):
        return str(error)
    if isinstance(error, SystemExit):
        said = "sys.exit() was called"
    else:
        lines = str(error).strip().splitlines()
        said = type(error).__name__ + (f": {lines[0][:LONGEST_MESSAGE]}" if lines else "")
    place = own_place(error)
    return said if place is None else f"{said} {place}"


def own_place(error: BaseException) -> str | None:
    """File, line and text of the user's innermost line; None where the program itself raised."""
    if isinstance(error, SyntaxError) and error.filename and is_own_file(error.filename):
        return _place(error.filename, error.lineno)
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        file = frame.f_code.co_filename
        if Path(file).is_relative_to(PACKAGE):
            return None
        if is_own_file(file):
            return _place(file, line)
    return None


def defined_at(function: object) -> str:
    """File, line and text of where a function of the user's begins; nothing where it is not Python."""
    code = getattr(inspect.unwrap(function), "__code__", None) if callable(function) else None
    return f" {_place(code.co_filename, code.co_firstlineno)}" if code is not None else ""


def is_of_own_code(reason: str) -> bool:
    """Whether the reason of a failure names a line of the user's."""
    return _MARK in reason


def _place(file: str, line: int | None) -> str:
    if line is None:
        return f"{_MARK}{file})"
    text = linecache.getline(file, line).strip()
    return f"{_MARK}{file}:{line}: {text})" if text else f"{_MARK}{file}:{line})"


def is_own_file(file: str) -> bool:
    """Whether a file is neither this package's nor that of an installed one; generated code has no file."""
    path = Path(file)
    if not path.is_file() or path.is_relative_to(PACKAGE):
        return False
    installed = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    return not any(path.is_relative_to(place) for place in (*installed, *site.getsitepackages()))
