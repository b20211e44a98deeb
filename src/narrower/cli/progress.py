"""How far a search is, on stderr."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from narrower.cli.console import messages
from narrower.searching.loop import Progress as Report


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
