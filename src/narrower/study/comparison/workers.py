"""Many searches in processes of their own, which ask this one for qualities: each plan is scored once."""

import multiprocessing
import os
import signal
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from narrower.errors import NarrowerError, RunError
from narrower.plan.plan import Plan
from narrower.searching.loop import Evaluate
from narrower.study.comparison.contest import Contest, Trace, search_once
from narrower.tasks.quality import Quality

Entry = tuple[str, int]  # sampler, seed
# One thread for each process: they share the cores, and sums of several threads may round differently.
THREAD_SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def run_entries(
    contest: Contest, entries: Sequence[Entry], score: Evaluate, *, jobs: int, report: Callable[[int], None]
) -> list[Trace]:
    """Run every entry and return their traces in order; ``report`` learns how many are done.

    The traces do not depend on ``jobs``, apart from times.

    Raises:
        NarrowerError: a sampler refused, or a process ended early.
    """
    waiting = deque(enumerate(entries))
    traces: dict[int, Trace] = {}
    with ExitStack() as stack:
        at_work: dict[Connection, tuple[int, BaseProcess]] = {}
        for _ in range(min(jobs, len(entries))):
            connection, process = stack.enter_context(_worker(contest))
            at_work[connection] = _send_next(connection, waiting), process
        while at_work:
            for connection in [ready for ready in wait(list(at_work)) if isinstance(ready, Connection)]:
                number, process = at_work[connection]
                answer = _receive(connection, process)
                if isinstance(answer, Exception):
                    raise answer
                if isinstance(answer, Trace):
                    traces[number] = answer
                    report(len(traces))
                    del at_work[connection]
                    if waiting:
                        at_work[connection] = _send_next(connection, waiting), process
                else:
                    connection.send(score(answer))
    return [traces[number] for number in range(len(entries))]


def _send_next(connection: Connection, waiting: deque[tuple[int, Entry]]) -> int:
    number, entry = waiting.popleft()
    connection.send(entry)
    return number


def _receive(connection: Connection, process: BaseProcess) -> list[Plan] | Trace | Exception:
    try:
        answer: list[Plan] | Trace | Exception = connection.recv()
    except (EOFError, ConnectionResetError):
        process.join()
        raise RunError(
            f"a process of the comparison ended early (exit code {process.exitcode}; -9 often means that "
            "memory was short: try fewer --jobs)"
        ) from None
    return answer


@contextmanager
def _worker(contest: Contest) -> Iterator[tuple[Connection, BaseProcess]]:
    context = multiprocessing.get_context("spawn")  # a copy of this process would copy PyTorch's locks
    here, there = context.Pipe()
    process = context.Process(target=_work, args=(there, contest), daemon=True)
    with _one_thread():
        process.start()
    there.close()
    try:
        yield here, process
    finally:
        here.close()
        process.terminate()
        process.join()


@contextmanager
def _one_thread() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in THREAD_SETTINGS}
    os.environ.update(dict.fromkeys(THREAD_SETTINGS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def _work(connection: Connection, contest: Contest) -> None:
    """Search as told until the other side hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the other side, which ends this process

    def score(plans: Sequence[Plan]) -> list[Quality]:
        connection.send(list(plans))
        qualities: list[Quality] = connection.recv()
        return qualities

    while True:
        try:
            sampler, seed = connection.recv()
        except EOFError:
            return
        try:
            connection.send(search_once(contest, sampler, seed, score))
        except NarrowerError as error:
            connection.send(NarrowerError(str(error)))
        except Exception:
            connection.send(RuntimeError(traceback.format_exc()))
