"""What a training writes of its course: a CSV table and, where it is installed, the events of TensorBoard."""

import csv
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from narrower.store.files import explaining
from narrower.store.trackers.event_file import open_events, write_events
from narrower.training.on_samples import Figures


class Logs:
    """Written to at the end of each epoch; ``append`` goes on with what lies there.

    ``metric`` is the one of the validation part that is shown.
    """

    def __init__(self, directory: Path, metric: str, every: int, *, append: bool) -> None:
        self._columns = ("epoch", "loss", "step", f"validation_{metric}", "validation_loss")
        self._directory, self._every, self._append = directory, every, append
        self._rows: list[dict[str, float]] = []
        self._open = ExitStack()
        self._events: IO[bytes] | None = None

    def __enter__(self) -> "Logs":
        path = self._directory / "logs" / "csv" / "metrics.csv"
        with explaining(self._directory):
            path.parent.mkdir(parents=True, exist_ok=True)
            is_new = not (self._append and path.is_file())
            mode = "w" if is_new else "a"
            self._file = self._open.enter_context(path.open(mode, newline="", encoding="utf-8"))
            if is_new:
                self._file.write(",".join(self._columns) + "\n")
            if find_spec("tensorboard") is not None:
                self._events = self._open.enter_context(open_events(self._directory / "logs" / "tensorboard"))
        return self

    def __exit__(self, *_: object) -> None:
        with explaining(self._directory):
            self._open.close()

    def loss(self, epoch: int, step: int, loss: float) -> None:
        """The loss of the batch of a step, counted from 1."""
        if step % self._every == 0:
            self._rows.append({"epoch": epoch, "step": step - 1, "loss": loss})

    def figures(self, figures: Figures) -> None:
        """The end of an epoch: everything since the last one is written.

        Raises:
            OutputError: the disk is full.
        """
        self._rows.append(
            {
                "epoch": figures.epoch - 1,
                "step": figures.step - 1,
                f"validation_{figures.metric}": figures.value,
                "validation_loss": figures.loss,
            }
        )
        with explaining(self._directory):
            csv.DictWriter(self._file, self._columns, lineterminator="\n").writerows(self._rows)
            self._file.flush()
            if self._events is not None:
                write_events(self._events, [_event(row) for row in self._rows])
        self._rows.clear()


def _event(row: dict[str, float]) -> tuple[int, dict[str, float]]:
    return int(row["step"]), {name: value for name, value in row.items() if name != "step"}
