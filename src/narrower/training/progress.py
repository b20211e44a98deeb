"""One bar on stderr for a whole training."""

import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from narrower.training.on_samples import Figures
from narrower.training.time_left import TimeLeft, TimeLeftColumn

SECONDS = 0.1  # between two updates


class TrainingProgress:
    """Shown on terminals alone."""

    def __init__(self, epochs: int, *, shown: bool) -> None:
        console = Console(stderr=True)
        self._epochs, self._shown, self._updated = epochs, shown and console.is_terminal, 0.0
        self._bar = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("batches, {task.description}"),
            TimeLeftColumn(),
            console=console,
            disable=not self._shown,
        )
        self._left = TimeLeft(0, 0.0)
        self._task = self._bar.add_task("first epoch", total=None, left=self._left)

    def __enter__(self) -> "TrainingProgress":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def start(self, step: int, steps: int) -> None:
        """Show the bar at a step."""
        self._left = TimeLeft(steps, time.monotonic(), step)
        self._bar.update(self._task, completed=step, total=steps, left=self._left)
        if self._shown:
            self._bar.start()

    def step(self, step: int) -> None:
        """A step was done."""
        if self._shown and time.monotonic() - self._updated > SECONDS:
            self._updated = time.monotonic()
            self._left.report(step, self._updated)
            self._bar.update(self._task, completed=step)

    def epoch(self, figures: Figures) -> None:
        """Say how well the model does on the validation part."""
        epoch = f"epoch {figures.epoch} of {self._epochs}"
        text = f"{epoch}, validation {figures.metric} {figures.value:.4f}"
        self._bar.update(self._task, completed=figures.step, description=text)
