"""Train one model and leave its weights, its logs and a record of the training in a directory."""

import hashlib
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from narrower.data.parts import DataSet, Part
from narrower.errors import NarrowerError, SettingsError, nearest
from narrower.graph.own_copy import own_copy
from narrower.models.checkpoints import load_weights
from narrower.models.ending import ending_of_outputs
from narrower.models.finite import check_finite
from narrower.models.fit import check_fit
from narrower.models.quality import model_quality
from narrower.tasks.quality import Quality
from narrower.tasks.task import Loss, leading
from narrower.training.accelerator import accelerators, device_of
from narrower.training.choosing import taught_and_choosing
from narrower.training.core import Core
from narrower.training.logs import Logs
from narrower.training.losses import Losses
from narrower.training.progress import TrainingProgress
from narrower.training.recipe import Recipe
from narrower.training.record import TrainingRecord, is_unfinished
from narrower.training.rounding import Formats
from narrower.training.saved import BEST, Saved

__all__ = ["Recipe", "TrainingResult", "check_accelerator", "check_fit", "train", "train_weights"]


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """Where the weights lie, and how well they do."""

    best_checkpoint: Path
    validation: Quality
    test: Quality
    epochs: int
    seconds: float


def train(
    model: nn.Module,
    data: DataSet,
    recipe: Recipe,
    directory: Path,
    *,
    show_progress: bool,
    teacher: nn.Module | None = None,
    callbacks: Sequence[Any] = (),
    loggers: Sequence[Any] = (),
) -> TrainingResult:
    """Train a copy of ``model``; the weights that the recipe keeps are in the file.

    No sample of the validation or test part is looked at while training, other than to show how well it
    does. Candidates that are trained together (``together.py``) follow the same rule. A training with the
    same recipe, data and first weights that did not end here goes on where it stopped.

    Writes ``checkpoints/best.ckpt``, ``logs/csv`` and, where TensorBoard is installed, ``logs/tensorboard``
    below ``directory``. The same seed gives the same weights on the same machine and number of threads.
    Lightning trains its own modules, and where ``callbacks`` or ``loggers`` of it are given.

    Raises:
        DataError: the model does not run on the data.
        SettingsError: there is no such accelerator, or the batch size is too small for batch norm.
        NarrowerError: the loss is not a number.
        KeyboardInterrupt: the user stopped the training.
    """
    check_fit(model, data)
    check_accelerator(recipe.accelerator)
    check_teacher(recipe, teacher)
    started = time.monotonic()
    loss = data.task.loss(ending_of_outputs(model, data.train.arguments))
    record = _begun(data, recipe, loss)
    saved = Saved(directory, _identity(model, data, recipe))
    best = directory / BEST
    if is_unfinished(directory) and not saved.can_go_on:  # what it left would be mixed with what comes
        best.unlink(missing_ok=True)
        shutil.rmtree(directory / "logs", ignore_errors=True)
    record.write(directory)
    if is_of_lightning(model) or callbacks or loggers:
        from narrower.training.with_lightning import train_with_lightning

        epochs = train_with_lightning(model, data, recipe, directory, loss, show_progress, callbacks, loggers)
    else:
        losses = Losses(recipe, loss)
        epochs = _train(own_copy(model), data, losses, directory, saved, show_progress, teacher)
    replace(record, ended=True).write(directory)
    saved.forget()
    trained = load_weights(model, best)
    for name in ("validation", "test"):
        check_finite(trained, data.parts[name], f"the {name} part")
    return TrainingResult(
        best_checkpoint=best,
        validation=model_quality(trained, data.validation),
        test=model_quality(trained, data.test),
        epochs=epochs,
        seconds=time.monotonic() - started,
    )


def _begun(data: DataSet, recipe: Recipe, loss: Loss) -> TrainingRecord:
    return TrainingRecord(
        False,
        recipe.max_epochs,
        asdict(recipe),
        data.name,
        data.task.words,
        data.output_names,
        loss.name,
        recipe.kept,
    )


def train_weights(
    model: nn.Module,
    part: Part,
    recipe: Recipe,
    *,
    teacher: nn.Module | None = None,
    formats: Formats | None = None,
    watched: Part | None = None,
    told: Callable[[Tensor], None] | None = None,
) -> nn.Module:
    """A trained copy of ``model``, in evaluation mode; nothing is left on disk.

    With ``formats`` it is trained rounded as they say. ``told`` is given its curve [E, 4] on the samples
    ``watched``, which change nothing.

    Raises:
        NarrowerError: as ``train``.
    """
    check_accelerator(recipe.accelerator)
    check_teacher(recipe, teacher)
    copied = own_copy(model)
    losses = Losses(recipe, part.task.loss(ending_of_outputs(model, part.arguments)))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        core = _core(copied, part, losses, teacher, formats, watched)
        while not core.ended:
            core.epoch()
    if told is not None:
        told(torch.cat(core.curve))
    core.finish()
    return copied.cpu().eval()


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


def check_teacher(recipe: Recipe, teacher: nn.Module | None) -> None:
    """Check that there is a model to learn from where the recipe distils.

    Raises:
        SettingsError: there is none.
    """
    if recipe.distillation and teacher is None:
        raise SettingsError(
            f"distillation: found {recipe.distillation:g}, but there is no trained float model to learn "
            "from: give its weights, or 0"
        )


def is_of_lightning(model: nn.Module) -> bool:
    """Whether a model is a module of Lightning's, which is not imported for this."""
    return any(
        kind.__name__ == "LightningModule" and kind.__module__.split(".")[0].endswith("lightning")
        for kind in type(model).__mro__
    )


def _core(
    model: nn.Module,
    part: Part,
    losses: Losses,
    teacher: nn.Module | None,
    formats: Formats | None = None,
    watched: Part | None = None,
) -> Core:
    device = device_of(losses.recipe.accelerator)
    taught, choosing = taught_and_choosing(part, losses.recipe)
    return Core(
        model.to(device),
        taught.to(device),
        losses.recipe,
        losses,
        choosing=None if choosing is None else choosing.to(device),
        teacher=None if teacher is None else own_copy(teacher).to(device),
        formats=formats,
        watched=None if watched is None else watched.to(device),
    )


def _train(
    model: nn.Module,
    data: DataSet,
    losses: Losses,
    directory: Path,
    saved: Saved,
    show_progress: bool,
    teacher: nn.Module | None,
) -> int:
    recipe = losses.recipe
    validation = data.validation.to(device_of(recipe.accelerator))
    with (
        torch.random.fork_rng(devices=[]),
        Logs(directory, leading(data.task).name, recipe.log_every_n_steps, append=saved.can_go_on) as logs,
        TrainingProgress(recipe.max_epochs, shown=show_progress) as progress,
    ):
        torch.manual_seed(recipe.seed)
        core = _core(model, data.train, losses, teacher)
        if saved.can_go_on:
            saved.go_on(core)
        progress.start(core.step, core.steps)

        def seen(step: int, lost: float) -> None:
            logs.loss(core.epochs, step, lost)
            progress.step(step)

        try:
            while not core.ended:
                core.epoch(seen)
                with core.delivered():
                    figures = core.figures(validation)
                logs.figures(figures)
                progress.epoch(figures)
                saved.epoch(core)
        except NarrowerError:
            saved.forget()  # going on would end in the same way
            raise
        finally:
            saved.interrupted(core)
    core.finish()
    saved.write(model, core)
    return core.epochs


def _identity(model: nn.Module, data: DataSet, recipe: Recipe) -> str:
    """What a training is of: its recipe, data and first weights."""
    digest = hashlib.sha256(f"{recipe} {data.content_hash}".encode())
    for name, tensor in model.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
