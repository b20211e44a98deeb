"""Files appear complete or not at all, and only a regular file is ever replaced."""

import errno
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from narrower.errors import OutputError

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})
# How libraries that hide the system's own error say that a disk is full.
FULL_WORDS = ("no space left", "disk is full", "disk full", "os error 28", "disk quota exceeded")
FREE_SOME = "the disk is full; free some space, then go on (a search with --resume)"
LONGEST_NAME, LONGEST_SUFFIX = 30, 10  # characters of a file's name that its unfinished form repeats
KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new file beside ``path`` to write to, which takes its place once it is complete.

    Its directory is made where there is none.

    Raises:
        OutputError: it cannot be written, or what lies there is no regular file.
    """
    check_replaceable(path)
    partial = path.with_name(
        f".{path.name[:LONGEST_NAME]}.{os.getpid()}.partial{path.suffix[:LONGEST_SUFFIX]}"
    )
    try:
        with explaining(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.unlink(missing_ok=True)
            partial.touch()
            mode = partial.stat().st_mode  # as files of this user are; some libraries make theirs private
            yield partial
            partial.chmod(mode)
            _bring_to_disk(partial)
            check_replaceable(path)
            partial.replace(path)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


@contextmanager
def explaining(path: Path) -> Iterator[None]:
    """Turn what the system says of writing into words about a file or a directory.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        yield
    except Exception as error:
        if is_no_space(error):
            raise OutputError(f"{path}: {FREE_SOME}") from error
        if isinstance(error, OSError):
            raise _unwritable(path, error) from error
        raise


def check_replaceable(path: Path) -> None:
    """Check that a file can take this place: it is free, or holds a regular file.

    Raises:
        OutputError: it is a directory, a device, a symbolic link, ..., or below something that is none.
    """
    try:
        kind = stat.S_IFMT(path.lstat().st_mode)
    except FileNotFoundError:
        if path.name in ("", ".."):
            raise OutputError(f"{str(path)!r} is no name for a file") from None
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from error
    else:
        if kind != stat.S_IFREG:
            what = KINDS.get(kind, "no regular file")
            raise OutputError(f"{path}: is {what}, which a file does not replace; give another name")


def check_output(path: Path) -> None:
    """Check before the work that its result can be written: so far as that can be known.

    Raises:
        OutputError: as ``replacing`` would.
    """
    check_replaceable(path)
    directory = path.parent
    while not directory.exists() and directory != directory.parent:
        directory = directory.parent
    if not directory.is_dir():
        raise OutputError(f"{path}: cannot be written: {directory} is no directory")
    if not os.access(directory, os.W_OK | os.X_OK):
        raise OutputError(f"{path}: cannot be written: nothing can be written to {directory}")


def check_output_directory(path: Path) -> None:
    """Check before the work that files can be written into a directory, which need not exist yet.

    Raises:
        OutputError: it is something else, or cannot be written.
    """
    try:
        is_there, is_directory = os.path.lexists(path), path.is_dir()
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from error
    if is_there and not is_directory:
        raise OutputError(f"{path}: is no directory, and one is needed; give another name")
    check_output(path / "any")


def write_text(path: Path, text: str) -> None:
    """Write a text; what UTF-8 cannot hold (half a character of a file's name) becomes an escape.

    Raises:
        OutputError: it cannot be written.
    """
    write_bytes(path, text.encode("utf-8", errors="backslashreplace"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes.

    Raises:
        OutputError: they cannot be written.
    """
    with replacing(path) as partial:
        partial.write_bytes(content)


def write_json(path: Path, value: object) -> None:
    """Write JSON; NaN is refused."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def is_no_space(error: BaseException) -> bool:
    """Whether an exception, or one that it came from, says that a disk is full."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        if isinstance(found, OSError) and found.errno in NO_SPACE:
            return True
        if any(words in str(found).lower() for words in FULL_WORDS):
            return True
        found = found.__cause__ or found.__context__
    return False


def _unwritable(path: Path, error: OSError | ValueError) -> OutputError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return OutputError(f"{path}: cannot be written: {reason}")


def _bring_to_disk(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
