"""Where plans are scored, as settings."""

import os
import re
from dataclasses import dataclass

DEVICES = re.compile("cpu|auto|mps|cuda(:[0-9]{1,3})?")  # that can be named


@dataclass(frozen=True, slots=True)
class BackendSettings:
    """``name`` is one of ``BACKENDS``; None: what ``device`` and ``jobs`` ask for.

    ``jobs`` counts the processes of this machine, None meaning one for each core that may be used. For Ray,
    ``address`` is "local" (a cluster that ends with the search), "auto" (the one that this machine belongs
    to) or ray://host:port; ``max_workers`` bounds the workers, None meaning one for each core of the cluster.
    A worker whose results differ in any bit from those of this process is used only with
    ``accept_other_bits``. ``device`` is cpu, cuda, cuda:1, mps or auto, the fastest that is here.
    """

    name: str | None = None
    jobs: int | None = 1
    address: str = "local"
    max_workers: int | None = None
    accept_other_bits: bool = False
    device: str = "cpu"

    @property
    def chosen_name(self) -> str:
        """The backend that the settings name or ask for."""
        if self.name is not None or self.device != "cpu":
            return self.name or "device"
        return "this_process" if self.jobs == 1 else "processes"

    @property
    def processes(self) -> int:
        """``jobs``, but never more than the cores that this process may use."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return cores if self.jobs is None else min(self.jobs, cores)
