"""How far a search is, on stderr."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from narrower.cli.console import messages
from narrower.searching.loop import Progress as Report


@contextmanager
def step_progress() -> Iterator[Callable[..., None]]:
    """A bar for each kind of work; the report takes its name, what is done, of how much, and how it goes."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=messages(),
    )
    tasks: dict[str, TaskID] = {}
    with bar:

        def report(name: str, done: int, total: int, note: str = "") -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(name, total=total, note="")
            bar.update(tasks[name], completed=done, note=note)

        yield report


def calibration_progress() -> Callable[[], AbstractContextManager[Callable[..., None]]] | None:
    """What opens a bar for calibration; None where nobody watches."""
    return step_progress if messages().is_terminal else None


@contextmanager
def search_progress(total: int) -> Iterator[Report]:
    """A bar with plans, rate, time left and size of the front."""
    bar = Progress(
        TextColumn("search"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]} plans/s"),
        TimeRemainingColumn(),
        TextColumn("front {task.fields[front]}"),
        console=messages(),
    )
    with bar:
        task = bar.add_task("", total=total, rate="–", front=0)

        def report(done: int, front: int) -> None:
            speed = bar.tasks[0].finished_speed or bar.tasks[0].speed
            bar.update(task, completed=done, front=front, rate=f"{speed:,.0f}" if speed else "–")

        yield report
