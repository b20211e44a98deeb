"""How many threads PyTorch has for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

THREADS = 1  # of each process: results do not depend on the machine, and n_jobs uses the cores


@contextmanager
def with_threads(count: int) -> Iterator[None]:
    """So many within this."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
