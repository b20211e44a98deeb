"""Processes that score a share of the plans each."""

import ctypes
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from narrower.evaluate.backends.backend import Engine, Say, Work
from narrower.evaluate.backends.settings import BackendSettings
from narrower.evaluate.backends.shares import shared_order, shares
from narrower.plan.plan import LayerPlan, Plan
from narrower.tasks.quality import Quality

Evaluate = Callable[[Sequence[Any], bool], list[Any]]
PR_SET_PDEATHSIG = 1  # from <sys/prctl.h>
MOST_REPLACED = 3  # times that each worker is replaced

# Plans as entries and, for each plan, the positions of its entries: the entries of many plans are few.
Message = tuple[list[tuple[str, LayerPlan]] | None, Sequence[Any], bool]


class Processes:
    """``jobs`` processes: this one, and copies made by fork, which read its samples where they are.

    The share of a worker that dies is scored here, and another one takes its place; not again and again, for
    what ended it (often that memory is short) may end them all. What is scored may be other ``Work`` than
    plans.
    """

    def __init__(self, settings: BackendSettings, say: Say) -> None:
        self.lost, self._say = 0, say
        self._jobs = jobs = settings.jobs or settings.processes
        self._to_replace = 0
        self._may_replace = MOST_REPLACED * (jobs - 1)
        self._engine: Engine | None = None
        self._workers: list[tuple[BaseProcess, Connection]] = []

    def start(self, engine: Engine) -> None:
        """Make the copies."""
        engine.warm_up()
        self._engine = engine
        if isinstance(engine, Work) and self._jobs > 1 and not _copies_train():
            self._say(
                "copies of this process cannot train: PyTorch has threads for the gradients of a device. "
                'One process trains; backend = "ray" has processes that are no copies'
            )
            self._jobs = 1
        self._add_workers(engine, self._jobs - 1)

    def workers(self) -> int:
        """How many processes there are, with this one."""
        return self._jobs

    def score(self, plans: Sequence[Any], loss: bool) -> list[Any]:
        """Score plans: those that agree in their first layers together, an equal share in each process."""
        assert self._engine is not None, "start comes first"
        order = shared_order(plans, self._engine.layers)
        qualities = self._score([plans[position] for position in order], loss)
        found = dict(zip(order, qualities, strict=True))
        return [found[position] for position in range(len(plans))]

    def close(self) -> None:
        """End the workers."""
        for process, connection in self._workers:
            connection.close()
            process.terminate()
            process.join()
        self._workers, self._to_replace = [], 0

    def _add_workers(self, engine: Engine, count: int) -> None:
        context = multiprocessing.get_context("fork")
        for _ in range(count):
            here, there = context.Pipe()
            others = [connection for _, connection in self._workers]
            process = context.Process(
                target=_work, args=(there, engine.score, os.getpid(), [here, *others]), daemon=True
            )
            process.start()
            there.close()
            self._workers.append((process, here))

    def _replace_lost(self, engine: Engine) -> None:
        count = min(self._to_replace, self._may_replace)
        self._may_replace -= count
        self._to_replace = 0
        self._add_workers(engine, count)

    def _lose(self, worker: tuple[BaseProcess, Connection]) -> None:
        self._workers.remove(worker)
        worker[1].close()
        worker[0].join()
        self.lost += 1
        self._to_replace += 1

    def _score(self, plans: Sequence[Any], loss: bool) -> list[Any]:
        assert self._engine is not None
        self._replace_lost(self._engine)
        portions = shares(plans, 1 + len(self._workers))
        busy = []
        try:
            for share, worker in zip(portions[1:], list(self._workers), strict=True):
                busy.append((share, worker, bool(share) and self._send(worker, share, loss)))
            qualities = self._engine.score(portions[0], loss)
            for share, worker, is_sent in busy:
                answer = self._receive(worker) if is_sent else None
                qualities += self._engine.score(share, loss) if answer is None else answer
        except BaseException:
            self.close()  # the answers that are still to come would be taken for those of the next plans
            raise
        return qualities

    def _send(self, worker: tuple[BaseProcess, Connection], plans: Sequence[Any], loss: bool) -> bool:
        try:
            worker[1].send(_packed(plans, loss))
        except OSError:
            self._lose(worker)
            return False
        return True

    def _receive(self, worker: tuple[BaseProcess, Connection]) -> list[Any] | None:
        try:
            answer = worker[1].recv()
        except (EOFError, OSError):
            self._lose(worker)
            return None
        return [Quality(*each) if isinstance(each, tuple) else each for each in answer]


def _copies_train() -> bool:
    """Whether a copy of a process that has taken gradients can take them, too."""
    _take_gradient()
    process = multiprocessing.get_context("fork").Process(target=_end_by_gradient, daemon=True)
    process.start()
    process.join()
    return process.exitcode == 0


def _take_gradient() -> None:
    import torch

    start = torch.zeros(1, requires_grad=True)
    torch.autograd.grad(start.sum(), start)


def _end_by_gradient() -> None:
    try:
        _take_gradient()
    except RuntimeError:
        os._exit(1)


def _packed(plans: Sequence[Any], loss: bool) -> Message:
    if not isinstance(plans[0], Plan):
        return None, plans, loss
    entries: dict[tuple[str, LayerPlan], int] = {}
    rows = [tuple([entries.setdefault(entry, len(entries)) for entry in plan.layers]) for plan in plans]
    return list(entries), rows, loss


def _work(connection: Connection, score: Evaluate, parent: int, others: Iterable[Connection]) -> None:
    """Score what is sent until the other side hangs up, or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the other side, which ends this process
    with suppress(OSError, AttributeError):  # elsewhere than on Linux, a closed pipe has to do
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    for other in others:
        other.close()
    while os.getppid() == parent:
        try:
            entries, rows, loss = connection.recv()
        except (EOFError, OSError):
            return
        plans = rows if entries is None else [Plan(tuple([entries[i] for i in row])) for row in rows]
        connection.send([_row(answer) for answer in score(plans, loss)])


def _row(answer: Any) -> Any:
    if isinstance(answer, Quality):
        return answer.samples, answer.metrics, answer.sums, answer.failure
    return answer
