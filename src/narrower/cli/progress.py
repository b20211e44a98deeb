"""How far a search is, on stderr."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from narrower.cli.console import messages
from narrower.searching.loop import Progress as Report
from narrower.training.time_left import TimeLeft, TimeLeftColumn

Clock = Callable[[], float]


@contextmanager
def step_progress(clock: Clock = time.monotonic) -> Iterator[Callable[..., None]]:
    """A bar for each kind of work; the report takes its name, what is done, of how much, and how it goes."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeLeftColumn(),
        TextColumn("{task.fields[note]}"),
        console=messages(),
        get_time=clock,
    )
    tasks: dict[str, tuple[TaskID, TimeLeft]] = {}
    last = clock()
    with bar:

        def report(name: str, done: int, total: int, note: str = "") -> None:
            nonlocal last
            if name not in tasks:  # it begins now, or began when the work before it was last heard of
                left = TimeLeft(total, last if done else clock())
                tasks[name] = bar.add_task(name, total=total, note="", left=left), left
            task, left = tasks[name]
            last = clock()
            left.report(done, last)
            bar.update(task, completed=done, note=note)

        yield report


def unseen(_name: str, _done: int, _total: int, _note: str = "") -> None:
    """Where nobody watches."""


def calibration_progress() -> Callable[[], AbstractContextManager[Callable[..., None]]] | None:
    """What opens a bar for calibration; None where nobody watches."""
    return step_progress if messages().is_terminal else None


@contextmanager
def search_progress(total: int, clock: Clock = time.monotonic) -> Iterator[Report]:
    """A bar with plans, rate, time left and size of the front."""
    left = TimeLeft(total, clock())
    bar = Progress(
        TextColumn("search"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]} plans/s"),
        TimeLeftColumn(),
        TextColumn("front {task.fields[front]}"),
        console=messages(),
        get_time=clock,
    )
    with bar:
        task = bar.add_task("", total=total, rate="–", front=0, left=left)

        def report(done: int, front: int) -> None:
            left.report(done, clock())
            bar.update(task, completed=done, front=front, rate=_rate(left.speed))

        yield report


def _rate(speed: float | None) -> str:
    """Plans a second, with the digits that slow ones need."""
    return "–" if speed is None else f"{speed:,.0f}" if speed >= 10 else f"{speed:.2g}"  # noqa: PLR2004
