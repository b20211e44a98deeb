"""Where plans are scored, as settings."""

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BackendSettings:
    """``name`` is one of ``BACKENDS``; None: processes where ``jobs`` asks for several, else this process.

    ``jobs`` counts the processes of this machine, None meaning one for each core that may be used. For Ray,
    ``address`` is "local" (a cluster that ends with the search), "auto" (the one that this machine belongs
    to) or ray://host:port; ``max_workers`` bounds the workers, None meaning one for each core of the cluster.
    A worker whose results differ in any bit from those of this process is used only with
    ``accept_other_bits``.
    """

    name: str | None = None
    jobs: int | None = 1
    address: str = "local"
    max_workers: int | None = None
    accept_other_bits: bool = False

    @property
    def processes(self) -> int:
        """``jobs``, but never more than the cores that this process may use."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return cores if self.jobs is None else min(self.jobs, cores)
