"""Train a model with Lightning; nothing else imports it."""

import copy
import logging
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch import Tensor, nn
from torch.nn import functional as F

from narrower.errors import DataError, NarrowerError
from narrower.tasks.checkpoints import load_weights
from narrower.tasks.datasets import DataSet, Part
from narrower.tasks.training_settings import TrainingSettings

EVALUATION_BATCH = 4096


@dataclass(frozen=True)
class TrainingResult:
    """Where the best weights lie and how well they did on the validation part."""

    model: nn.Module
    checkpoint: Path
    validation_accuracy: float
    epochs: int
    seconds: float


def train(
    model: nn.Module, data: DataSet, settings: TrainingSettings, directory: Path, *, show_progress: bool
) -> TrainingResult:
    """Train a copy of ``model`` and return it with the weights of its best epoch.

    Writes ``checkpoints/best.ckpt`` and logs for TensorBoard and as CSV below ``directory``.

    Raises:
        DataError: the model does not run on the data.
        KeyboardInterrupt: the user stopped the training.
    """
    check_fit(model, data)
    started = time.monotonic()
    candidate = _Classifier(copy.deepcopy(model), settings)
    checkpoint = ModelCheckpoint(
        directory / "checkpoints", filename="best", monitor="validation_accuracy", mode="max",
        enable_version_counter=False,
    )  # fmt: skip
    callbacks: list[Callback] = [checkpoint]
    if show_progress:
        callbacks.append(RichProgressBar(console_kwargs={"stderr": True}))
    with _quiet_lightning(), torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        trainer = lightning.Trainer(
            max_epochs=settings.max_epochs,
            accelerator=settings.accelerator,
            devices=1,
            logger=[
                CSVLogger(directory, name="logs", version="csv"),
                TensorBoardLogger(directory, name="logs", version="tensorboard"),
            ],
            callbacks=callbacks,
            enable_progress_bar=show_progress,
            enable_model_summary=False,
            log_every_n_steps=settings.log_every_n_steps,
            num_sanity_val_steps=0,
        )
        trainer.fit(
            candidate,
            _Batches(data.train, settings.batch_size, settings.seed),
            _Batches(data.validation, EVALUATION_BATCH, None),
        )
    if trainer.interrupted:
        raise KeyboardInterrupt
    path = directory / "checkpoints" / "best.ckpt"
    if checkpoint.best_model_score is None or not path.is_file():
        raise NarrowerError(
            "training gave no checkpoint: the loss was never finite; try a smaller learning rate"
        )
    accuracy = float(checkpoint.best_model_score)
    seconds = time.monotonic() - started
    return TrainingResult(load_weights(model, path), path, accuracy, trainer.current_epoch, seconds)


def check_fit(model: nn.Module, data: DataSet) -> None:
    """Run one small batch to see that model and data fit.

    Raises:
        DataError: the model raises on the data, or gives no score for each class.
    """
    sample = data.validation.first(2)
    try:
        with torch.no_grad():
            outputs = copy.deepcopy(model).eval()(sample.inputs)
    except Exception as error:
        raise DataError(
            f"{type(model).__name__} does not run on data set {data.name!r} with samples of shape "
            f"{tuple(sample.inputs.shape[1:])}: {error}"
        ) from error
    classes = len(data.class_names)
    if not isinstance(outputs, Tensor) or outputs.ndim != 2 or outputs.shape[1] < classes:  # noqa: PLR2004
        found = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
        raise DataError(
            f"{type(model).__name__} gives {found} for 2 samples; data set {data.name!r} needs scores "
            f"of shape (2, {classes})"
        )


class _Classifier(lightning.LightningModule):  # type: ignore[misc]
    def __init__(self, model: nn.Module, settings: TrainingSettings) -> None:
        super().__init__()
        self.model = model
        self.settings = settings

    def training_step(self, batch: tuple[Tensor, Tensor], _index: int) -> Tensor:
        inputs, targets = batch
        loss = F.cross_entropy(self.model(inputs), targets)
        self.log("loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], _index: int) -> None:
        inputs, targets = batch
        outputs = self.model(inputs)
        accuracy = (outputs.argmax(dim=1) == targets).float().mean()
        self.log("validation_accuracy", accuracy, prog_bar=True, batch_size=len(targets))
        self.log("validation_loss", F.cross_entropy(outputs, targets), batch_size=len(targets))

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.Adam(self.parameters(), lr=self.settings.learning_rate)
        steps = max(1, int(self.trainer.estimated_stepping_batches))
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class _Batches:
    """Batches straight from memory: a new seeded order for each epoch, or the given order without a seed."""

    def __init__(self, part: Part, batch_size: int, seed: int | None) -> None:
        self._part, self._batch_size = part, batch_size
        self._generator = None if seed is None else torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        full, rest = divmod(len(self._part), self._batch_size)
        # Batch norm cannot train on a last batch of one sample.
        return full + (rest > 1 or (rest == 1 and (self._generator is None or full == 0)))

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        count = len(self._part)
        order = (
            torch.arange(count)
            if self._generator is None
            else torch.randperm(count, generator=self._generator)
        )
        for batch in torch.split(order, self._batch_size)[: len(self)]:
            yield self._part.inputs[batch], self._part.targets[batch]


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Silence Lightning's hints, which do not concern the user of this program."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
