"""Train with Lightning: its own modules, and with callbacks and loggers of it; nothing else imports it."""

import logging
import signal
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.fabric.utilities.warnings import PossibleUserWarning
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from narrower.data.parts import DataSet
from narrower.data.sizes import SAMPLES_AT_ONCE
from narrower.errors import NarrowerError, OutputError, SettingsError
from narrower.graph.own_copy import own_copy
from narrower.store.files import FREE_SOME, explaining, is_no_space
from narrower.tasks.quality import added, quality_of
from narrower.tasks.task import Loss, Sums, Task, leading
from narrower.training.batches import Batches
from narrower.training.recipe import Recipe

DONE_HERE = ("max_epochs", "batch_size", "learning_rate", "seed", "accelerator", "log_every_n_steps")


def train_with_lightning(
    model: nn.Module,
    data: DataSet,
    recipe: Recipe,
    directory: Path,
    loss: Loss,
    show_progress: bool,
    callbacks: Sequence[Callback],
    loggers: Sequence[Logger],
) -> int:
    """Train a copy of ``model``, write ``checkpoints/best.ckpt`` and logs, and return the number of epochs.

    Raises:
        SettingsError: the recipe asks for what is not done here, or a batch is too small for batch norm.
        NarrowerError: the loss is not a number.
        KeyboardInterrupt: the user stopped the training.
    """
    plain = Recipe(**{name: getattr(recipe, name) for name in DONE_HERE})
    if plain != recipe:
        others = [f.name for f in fields(recipe) if getattr(plain, f.name) != getattr(recipe, f.name)]
        raise SettingsError(
            f"{', '.join(others)}: not for modules, callbacks or loggers of Lightning; "
            f"allowed there: {', '.join(DONE_HERE)}"
        )
    trained = _Trained(own_copy(model).train(), recipe, data.task, loss)
    checkpoint = ModelCheckpoint(
        directory / "checkpoints",
        filename="best",  # of those after each epoch the last: its step is the smallest
        enable_version_counter=False,
    )
    every = [checkpoint, *callbacks]
    if show_progress:
        every.append(_ProgressBar(leading(data.task).name))
    with _quiet_lightning(), _interruptible(), _logs_of_threads(directory), torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        trainer = _trainer(recipe, directory, every, loggers)
        try:
            trainer.fit(
                trained,
                Batches(data.train, recipe.batch_size, recipe.seed),
                Batches(data.validation, SAMPLES_AT_ONCE, None),
            )
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise SettingsError(
                f"batch_size: batch norm cannot train on {recipe.batch_size} sample"
            ) from error
    return int(trainer.current_epoch)


def _trainer(
    settings: Recipe, directory: Path, callbacks: list[Callback], loggers: Sequence[Logger]
) -> lightning.Trainer:
    every: list[Logger] = [CSVLogger(directory, name="logs", version="csv"), *loggers]
    if find_spec("tensorboard") is not None:
        every.append(TensorBoardLogger(directory, name="logs", version="tensorboard"))
    return lightning.Trainer(
        max_epochs=settings.max_epochs,
        accelerator=settings.accelerator,
        devices=1,
        logger=every,
        callbacks=callbacks,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=settings.log_every_n_steps,
        num_sanity_val_steps=0,
    )


class _Trained(lightning.LightningModule):  # type: ignore[misc] # Lightning is not typed here
    def __init__(self, model: nn.Module, settings: Recipe, task: Task, loss: Loss) -> None:
        super().__init__()
        self.model = model
        self.settings = settings
        self._task, self._loss = task, loss
        self._sums: dict[str, Sums] = {}
        self._validated: list[tuple[int, float]] = []  # samples and summed loss of each batch

    def training_step(self, batch: tuple[tuple[Tensor, ...], Tensor], _index: int) -> Tensor:
        arguments, targets = batch
        loss = self._loss.of_samples(self.model(*arguments), targets).mean()
        if not torch.isfinite(loss):
            raise NarrowerError(
                f"the loss became {loss.item()} in epoch {self.current_epoch + 1}; try a learning rate below "
                f"{self.settings.learning_rate:g}"
            )
        self.log("loss", loss, batch_size=len(targets))
        return loss

    def validation_step(self, batch: tuple[tuple[Tensor, ...], Tensor], _index: int) -> None:
        arguments, targets = batch
        outputs = self.model(*arguments)
        metric = leading(self._task)
        self._sums = added([metric], self._sums, {metric.name: metric.sums(outputs, targets)})
        loss = float(self._loss.of_samples(outputs, targets).mean()) * len(targets)
        self._validated.append((len(targets), loss))

    def on_validation_epoch_end(self) -> None:
        samples, loss = (sum(column) for column in zip(*self._validated, strict=True))
        name = leading(self._task).name
        value = quality_of(self._task, self._sums, samples).metrics[name]
        self._validated.clear()
        self._sums.clear()
        self.log(f"validation_{name}", value)
        self.log("validation_loss", loss / samples)

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.Adam(self.parameters(), lr=self.settings.learning_rate)
        steps = max(1, int(self.trainer.estimated_stepping_batches))
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class _ProgressBar(Callback):  # type: ignore[misc] # Lightning is not typed here
    """One bar on stderr for the whole training. Lightning's own reconfigures rich for the whole program."""

    def __init__(self, metric: str) -> None:
        self._metric = metric
        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("batches, {task.description}"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("first epoch", total=None)

    def on_train_start(self, trainer: Any, *_: Any) -> None:
        self._progress.update(self._task, total=int(trainer.estimated_stepping_batches))
        self._progress.start()

    def on_train_batch_end(self, *_: Any) -> None:
        self._progress.advance(self._task)

    def on_validation_epoch_end(self, trainer: Any, *_: Any) -> None:
        if f"validation_{self._metric}" in trainer.callback_metrics:
            epoch = f"epoch {trainer.current_epoch + 1} of {trainer.max_epochs}"
            value = float(trainer.callback_metrics[f"validation_{self._metric}"])
            self._progress.update(self._task, description=f"{epoch}, validation {self._metric} {value:.4f}")

    def on_train_end(self, *_: Any) -> None:
        self._progress.stop()

    def on_exception(self, *_: Any) -> None:
        self._progress.stop()


@contextmanager
def _interruptible() -> Iterator[None]:
    """Turn Lightning's answer to Ctrl-C (exit code 1, SIGINT ignored from then on) into KeyboardInterrupt."""
    on_main_thread = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as error:
        if not isinstance(error.__context__, KeyboardInterrupt):  # a model called sys.exit()
            raise
        raise KeyboardInterrupt from error
    finally:
        if on_main_thread:
            signal.signal(signal.SIGINT, handler)


@contextmanager
def _logs_of_threads(directory: Path) -> Iterator[None]:
    """Raise here what the thread that writes TensorBoard's log raises for want of space.

    Raises:
        OutputError: the disk is full.
    """
    hook, failures = threading.excepthook, list[BaseException]()

    def caught(raised: threading.ExceptHookArgs) -> None:
        if raised.exc_value is not None and is_no_space(raised.exc_value):
            failures.append(raised.exc_value)
        else:
            hook(raised)

    threading.excepthook = caught
    try:
        with explaining(directory):
            yield
    finally:
        threading.excepthook = hook
    if failures:
        raise OutputError(f"{directory}: {FREE_SOME}") from failures[0]


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Silence Lightning's hints, which do not concern the user of this program."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            # A name that PyTorch renamed and Lightning still uses.
            warnings.filterwarnings("ignore", message=r"`isinstance\(treespec, LeafSpec\)`")
            warnings.filterwarnings("ignore", category=PossibleUserWarning)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
