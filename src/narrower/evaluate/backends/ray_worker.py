"""What runs in a worker of a Ray cluster: an engine, and what is to be known of the process."""

import platform
import resource
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from narrower.evaluate.backends.backend import Engine

MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024


class RayWorker:
    """Scores what it is sent, with one thread as every process does."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine  # PyTorch has one thread by OMP_NUM_THREADS, which the driver sets

    def greet(self, probe: Sequence[Any]) -> tuple[str, dict[str, str], list[Any], int]:
        """The machine's name, versions, results of ``probe``, and the bytes of memory that it took."""
        self._engine.warm_up()
        qualities = self._engine.score(probe, True)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * MAXRSS_BYTES
        return platform.node(), versions(), qualities, memory

    def score(self, plans: Sequence[Any], loss: bool) -> tuple[float, list[Any]]:
        """Seconds, and the quality of each plan."""
        started = time.monotonic()
        qualities = self._engine.score(plans, loss)
        return time.monotonic() - started, qualities


def operator(name: str) -> Any:
    """PyTorch's operator of that name, such as aten.linear.default."""
    from torch import ops

    found: Any = ops
    for part in name.split("."):
        found = getattr(found, part)
    return found


def versions() -> dict[str, str]:
    """Those that results depend on."""
    return {
        "Python": platform.python_version(),
        "torch": version("torch"),
        "narrower": version("narrower"),
    }
