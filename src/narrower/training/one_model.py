"""Train a model with Lightning; nothing else imports it."""

import logging
import shutil
import signal
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
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
from narrower.errors import NarrowerError, OutputError, SettingsError, nearest
from narrower.files import FREE_SOME, explaining, is_no_space
from narrower.graph.own_copy import own_copy
from narrower.models.checkpoints import load_weights
from narrower.models.finite import check_finite
from narrower.quality import CROSS_ENTROPY
from narrower.tasks.ending import ends_in_log_softmax, loss_of_outputs
from narrower.tasks.scoring import check_fit, score
from narrower.training.accelerator import accelerators
from narrower.training.batches import Batches
from narrower.training.record import TrainingRecord, is_unfinished
from narrower.training.settings import TrainingSettings

__all__ = ["TrainingResult", "TrainingSettings", "check_accelerator", "check_fit", "train"]

EVALUATION_BATCH = 4096


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """Where the weights lie, and how well they do."""

    best_checkpoint: Path
    validation_accuracy: float
    test_accuracy: float
    epochs: int
    seconds: float


def train(
    model: nn.Module, data: DataSet, settings: TrainingSettings, directory: Path, *, show_progress: bool
) -> TrainingResult:
    """Train a copy of ``model``; the weights after its last epoch are in the file.

    No samples choose an epoch, so that those that score it have not been seen. Candidates that are trained
    together (``batched_training.py``) follow the same rule.

    Writes ``checkpoints/best.ckpt``, ``logs/csv`` and ``logs/tensorboard`` below ``directory``. The same seed
    gives the same weights on the same machine and number of threads.

    Raises:
        DataError: the model does not run on the data.
        SettingsError: there is no such accelerator, or the batch size is too small for batch norm.
        NarrowerError: the loss is not a number.
        KeyboardInterrupt: the user stopped the training.
    """
    check_fit(model, data)
    check_accelerator(settings.accelerator)
    started = time.monotonic()
    are_log_probabilities = ends_in_log_softmax(model, data.train.inputs)
    classifier = _Classifier(own_copy(model).train(), settings, are_log_probabilities)
    checkpoint = ModelCheckpoint(
        directory / "checkpoints",
        filename="best",  # of those after each epoch the last: its step is the smallest
        enable_version_counter=False,
    )
    loss = "negative log likelihood" if are_log_probabilities else CROSS_ENTROPY
    record = TrainingRecord(False, settings.max_epochs, asdict(settings), data.name, data.class_names, loss)
    best = directory / "checkpoints" / "best.ckpt"
    if is_unfinished(directory):  # what it left would be mixed with what comes
        best.unlink(missing_ok=True)
        shutil.rmtree(directory / "logs", ignore_errors=True)
    record.write(directory)
    callbacks: list[Callback] = [checkpoint, _ProgressBar()] if show_progress else [checkpoint]
    with _quiet_lightning(), _interruptible(), _logs_of_threads(directory), torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        trainer = _trainer(settings, directory, callbacks)
        try:
            trainer.fit(
                classifier,
                Batches(data.train, settings.batch_size, settings.seed),
                Batches(data.validation, EVALUATION_BATCH, None),
            )
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise SettingsError(
                f"batch_size: batch norm cannot train on {settings.batch_size} sample"
            ) from error
    replace(record, ended=True).write(directory)
    trained = load_weights(model, best)
    for name in ("validation", "test"):
        check_finite(trained, data.parts[name], f"the {name} part")
    return TrainingResult(
        best_checkpoint=best,
        validation_accuracy=score(trained, data.validation)["accuracy"],
        test_accuracy=score(trained, data.test)["accuracy"],
        epochs=trainer.current_epoch,
        seconds=time.monotonic() - started,
    )


def train_weights(model: nn.Module, data: DataSet, settings: TrainingSettings) -> nn.Module:
    """A trained copy of ``model``, with the weights after its last epoch; nothing is left on disk.

    Raises:
        NarrowerError: as ``train``.
    """
    with tempfile.TemporaryDirectory(prefix="narrower-") as directory:
        quiet = replace(settings, log_every_n_steps=10**9)
        result = train(model, data, quiet, Path(directory), show_progress=False)
        return load_weights(model, result.best_checkpoint)


def check_accelerator(name: str) -> None:
    """Check that this machine has it.

    Raises:
        SettingsError: with what it has.
    """
    has = accelerators()
    usable = [known for known, is_there in has.items() if is_there]
    if name not in usable:
        what = "this machine has none" if name in has else f"unknown{nearest(name, has)}"
        raise SettingsError(f"accelerator: found {name!r}: {what}; allowed here: {', '.join(usable)}")


def _trainer(settings: TrainingSettings, directory: Path, callbacks: list[Callback]) -> lightning.Trainer:
    loggers: list[Logger] = [
        CSVLogger(directory, name="logs", version="csv"),
        TensorBoardLogger(directory, name="logs", version="tensorboard"),
    ]
    return lightning.Trainer(
        max_epochs=settings.max_epochs,
        accelerator=settings.accelerator,
        devices=1,
        logger=loggers,
        callbacks=callbacks,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=settings.log_every_n_steps,
        num_sanity_val_steps=0,
    )


class _Classifier(lightning.LightningModule):  # type: ignore[misc] # Lightning is not typed here
    def __init__(self, model: nn.Module, settings: TrainingSettings, are_log_probabilities: bool) -> None:
        super().__init__()
        self.model = model
        self.are_log_probabilities = are_log_probabilities
        self.settings = settings
        self._validated: list[tuple[int, int, float]] = []  # correct, samples, summed loss of each batch

    def training_step(self, batch: tuple[Tensor, Tensor], _index: int) -> Tensor:
        inputs, targets = batch
        loss = self._loss(self.model(inputs), targets)
        if not torch.isfinite(loss):
            raise NarrowerError(
                f"the loss became {loss.item()} in epoch {self.current_epoch + 1}; try a learning rate below "
                f"{self.settings.learning_rate:g}"
            )
        self.log("loss", loss, batch_size=len(targets))
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], _index: int) -> None:
        inputs, targets = batch
        outputs = self.model(inputs)
        correct = int((outputs.argmax(dim=1) == targets).sum())
        loss = float(self._loss(outputs, targets)) * len(targets)
        self._validated.append((correct, len(targets), loss))

    def _loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return loss_of_outputs(outputs, targets, are_log_probabilities=self.are_log_probabilities)

    def on_validation_epoch_end(self) -> None:
        correct, samples, loss = (sum(column) for column in zip(*self._validated, strict=True))
        self._validated.clear()
        self.log("validation_accuracy", correct / samples)
        self.log("validation_loss", loss / samples)

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.Adam(self.parameters(), lr=self.settings.learning_rate)
        steps = max(1, int(self.trainer.estimated_stepping_batches))
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class _ProgressBar(Callback):  # type: ignore[misc] # Lightning is not typed here
    """One bar on stderr for the whole training. Lightning's own reconfigures rich for the whole program."""

    def __init__(self) -> None:
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
        if "validation_accuracy" in trainer.callback_metrics:
            epoch = f"epoch {trainer.current_epoch + 1} of {trainer.max_epochs}"
            accuracy = float(trainer.callback_metrics["validation_accuracy"])
            self._progress.update(self._task, description=f"{epoch}, validation accuracy {accuracy:.4f}")

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
