"""Exit codes, and what is said when a command fails: by the user's mistake, by the system, or by ours."""

import errno
import traceback
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from types import FrameType

from typer.exceptions import TyperException

from narrower.errors import AllTrialsFailedError, NarrowerError
from narrower.own_code.failures import described, is_own_file, own_place
from narrower.store.files import FREE_SOME, is_no_space

DONE, OUR_FAULT, USER_CAN_MEND, INTERRUPTED = 0, 1, 2, 130
EXTRA = "unexpected extra argument"
OWN = str(Path(__file__).resolve().parents[1])
# What the system refuses because of where or how the program is run.
SURROUNDINGS = frozenset(
    {
        errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.ENAMETOOLONG, errno.ELOOP, errno.EFBIG,
        errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENODEV, errno.ENXIO, errno.ESTALE, errno.ENOTDIR,
        errno.EISDIR, errno.EAGAIN, errno.EBUSY,
    }
)  # fmt: skip
OUT_OF_MEMORY = ("can't allocate memory", "out of memory")


def explanation(error: BaseException) -> tuple[int, str] | None:
    """The exit code of an error that is not ours, and what to say; None: it is a defect."""
    if isinstance(error, NarrowerError):
        return USER_CAN_MEND, str(error)
    if isinstance(error, TyperException):
        return USER_CAN_MEND, f"{error.format_message()}{_usage(error)}"
    if isinstance(error, AllTrialsFailedError):
        return OUR_FAULT, str(error)
    if (broken := _broken_package(error)) is not None:
        return USER_CAN_MEND, broken
    if own_place(error) is not None:  # a model, data or metric of the user's own
        return USER_CAN_MEND, described(error)
    if is_no_space(error):
        return USER_CAN_MEND, FREE_SOME
    if isinstance(error, MemoryError) or any(words in str(error) for words in OUT_OF_MEMORY):
        return USER_CAN_MEND, f"this takes more memory than there is: {error}; try fewer samples or jobs"
    if isinstance(error, OSError) and error.errno in SURROUNDINGS:
        where = f"{error.filename}: " if error.filename else ""
        return USER_CAN_MEND, f"{where}{error.strerror}"
    return None


def _usage(error: TyperException) -> str:
    """What a command takes, and does, where it was given more arguments than that."""
    context = getattr(error, "ctx", None)
    if context is None or EXTRA not in error.format_message():
        return ""
    usage = " ".join(context.get_usage().removeprefix("Usage:").split())
    does = " ".join((context.command.help or "").partition(".")[0].split())
    return f"; usage: {usage}: {does}"


def _broken_package(error: BaseException) -> str | None:
    """What to say where a package of the user's environment fails while it is imported."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    own = [position for position, frame in enumerate(frames) if _is_own(frame)]
    after = frames[own[-1] + 1 :] if own else []
    if after and is_own_file(after[0].f_code.co_filename):
        return None  # the user's own code was called, and imported something
    imported = [_package(frame) for frame in after if frame.f_code.co_name == "<module>"]
    if isinstance(error, ImportError) and error.name and not error.name.startswith("narrower"):
        imported.append(error.name.partition(".")[0])
    if not imported:
        return None
    first, last = imported[0], imported[-1]
    needed = "" if first == last else f" ({first} needs it)"
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return (
        f"the package {last}{_version(last)} of this Python environment cannot be imported{needed}: "
        f"{reason}. "
        f"Install a version that fits the others (pip install --upgrade {last}), or remove it"
    )


def _is_own(frame: FrameType) -> bool:
    return str(Path(frame.f_code.co_filename).resolve()).startswith(OWN)


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "?")).partition(".")[0]


def _version(package: str) -> str:
    try:
        return f" {version(packages_distributions().get(package, [package])[0])}"
    except PackageNotFoundError:
        return ""
