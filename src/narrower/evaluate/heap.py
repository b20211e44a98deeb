"""Give memory that was freed back to the operating system."""

import ctypes
import sys
from collections.abc import Callable


def _find() -> Callable[[int], int] | None:
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc alone has it


_TRIM = _find()


def trim_heap() -> None:
    """Return the free pages of the heap, also those between others that are in use."""
    if _TRIM is not None:
        _TRIM(0)
