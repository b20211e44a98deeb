"""Give freed memory back to the operating system, or keep it."""

import ctypes
import gc
import sys
from collections.abc import Callable, Iterable

from torch import Tensor

# glibc's numbers for mallopt: free bytes at the end of the heap above which they go back, and the size above
# which an allocation is mapped on its own and always goes back.
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
LARGEST_MMAP_THRESHOLD = 2**25  # that glibc takes
LARGE_NETWORK = 2**26  # bytes of weights


def _find(name: str) -> Callable[..., int] | None:
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None), name, None)  # glibc alone has them


_TRIM, _SET = _find("malloc_trim"), _find("mallopt")


def trim_heap() -> None:
    """Return the free pages of the heap, also those between others that are in use."""
    if _TRIM is not None:
        _TRIM(0)


def drop_copies(weights: Iterable[Tensor]) -> None:
    """Let go the copies of a large network that were made to build and trace it, which hold each other.

    Of a small network they are not worth the time.
    """
    if sum(tensor.nbytes for tensor in weights) >= LARGE_NETWORK:
        gc.collect()
        trim_heap()


def keep_heap(free_bytes: int) -> None:
    """Keep as much freed memory for what comes next: pages that come back are filled with zeros first."""
    if _SET is not None:
        _SET(TRIM_THRESHOLD, free_bytes)
        _SET(MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD)
