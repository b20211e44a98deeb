"""``narrower train``: fit a model to a data set."""

from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from narrower.cli import recipe_options as options
from narrower.cli.complete import like_data_set, like_model
from narrower.cli.console import interval_text, messages, note, print_json, print_table, tell, warn
from narrower.cli.project import Project
from narrower.cli.recipe_options import DEFAULTS
from narrower.data.catalogue import short_name, wished
from narrower.errors import RunError
from narrower.models.catalogue import model_name, short_model_name
from narrower.settings.checks import names_between_commas
from narrower.store.run_directory import RUNS, RunDirectory, claimed, first_free
from narrower.tasks.task import leading
from narrower.training.recipe import Recipe
from narrower.training.record import is_unfinished

if TYPE_CHECKING:
    from narrower.data.datasets import DataSet
    from narrower.tasks.quality import Quality
    from narrower.training.one_model import TrainingResult

Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A name of 'narrower models', or package.module:callable.",
        autocompletion=like_model,
    ),
]
Dataset = Annotated[
    str,
    typer.Argument(
        metavar="DATASET",
        help="A name of 'narrower datasets', a file, or package.module:function.",
        autocompletion=like_data_set,
    ),
]
Load = Annotated[Path | None, typer.Option("--load", help="Weights to begin with.")]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with the training in runs/PROJECT that did not end.")
]
DataPath = Annotated[
    Path | None,
    typer.Option("--data-path", help="The file of 'jsc', or the folder of 'cifar10' or 'cifar100'."),
]
Target = Annotated[
    str | None,
    typer.Option("--target", help="The column of a file that is the target; several between commas."),
]
ClassOrder = Annotated[
    str | None,
    typer.Option("--class-order", help="Classes in the order of the model's outputs, such as g,q,w,z,t."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def train(
    model: Model,
    dataset: Dataset,
    max_epochs: options.Epochs = DEFAULTS.max_epochs,
    batch_size: options.BatchSize = DEFAULTS.batch_size,
    learning_rate: options.LearningRate = DEFAULTS.learning_rate,
    seed: options.Seed = DEFAULTS.seed,
    accelerator: options.Accelerator = DEFAULTS.accelerator,
    optimizer: options.Optimizer = DEFAULTS.optimizer,
    momentum: options.Momentum = DEFAULTS.momentum,
    schedule: options.Schedule = DEFAULTS.schedule,
    cycles: options.Cycles = DEFAULTS.cycles,
    warmup_steps: options.WarmupSteps = DEFAULTS.warmup_steps,
    weight_decay: options.WeightDecay = DEFAULTS.weight_decay,
    decay_all: options.DecayAll = DEFAULTS.decay_all,
    clip_norm: options.ClipNorm = DEFAULTS.clip_norm,
    label_smoothing: options.LabelSmoothing = DEFAULTS.label_smoothing,
    max_steps: options.MaxSteps = DEFAULTS.max_steps,
    patience: options.Patience = DEFAULTS.patience,
    choosing_share: options.ChoosingShare = DEFAULTS.choosing_share,
    average: options.Average = DEFAULTS.average,
    distillation: options.Distillation = DEFAULTS.distillation,
    temperature: options.Temperature = DEFAULTS.temperature,
    freeze_norms_after: options.FreezeNorms = DEFAULTS.freeze_norms_after,
    resume: Resume = False,
    project: Project = None,
    load: Load = None,
    target: Target = None,
    data_path: DataPath = None,
    class_order: ClassOrder = None,
    as_json: Json = False,
) -> None:
    """Train MODEL on DATASET and keep the weights after the last epoch, or what --patience or --average say.

    Writes checkpoints/best.ckpt and logs for TensorBoard and as CSV to a new directory below runs/.
    """
    recipe = Recipe(
        max_epochs=max_epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        accelerator=accelerator,
        optimizer=optimizer,
        momentum=momentum,
        schedule=schedule,
        cycles=cycles,
        warmup_steps=warmup_steps,
        weight_decay=weight_decay,
        decay_all=decay_all,
        clip_norm=clip_norm,
        label_smoothing=label_smoothing,
        max_steps=max_steps,
        patience=patience,
        choosing_share=choosing_share,
        average=average,
        distillation=distillation,
        temperature=temperature,
        freeze_norms_after=freeze_norms_after,
    )
    dataset = wished(dataset, target)
    name = project or f"{short_model_name(model)}-{short_name(dataset)}"
    first_free(name, is_used)  # a name that is none shows before the work
    model = model_name(model)
    from narrower.cli.loaded_data import loaded_data
    from narrower.models.build import build_model
    from narrower.models.checkpoints import load_weights
    from narrower.models.class_order import check_class_order, in_class_order
    from narrower.models.ending import ending_of
    from narrower.models.fit import check_fit

    data = loaded_data(dataset, data_path)
    if class_order is not None:
        data = in_class_order(data, names_between_commas(class_order))
    network = build_model(model, seed=seed, sizes=data.sizes)
    if load is not None:
        network = load_weights(network, load, say=note)
    check_fit(network, data)
    if load is not None and class_order is None:
        check_class_order(network, data, str(load))
    loss = data.task.loss(ending_of(network, data.train.arguments))
    if loss.warning is not None:
        warn(f"{model} {loss.warning}")
    from narrower.training import one_model

    one_model.check_accelerator(accelerator)
    one_model.check_teacher(recipe, network if load else None)
    with _continued(name) if resume else claimed(name, is_used) as run:
        tell(f"training {model} on {data.name}: {run.path}")
        try:
            result = one_model.train(
                network,
                data,
                recipe,
                run.path,
                show_progress=messages().is_terminal,
                teacher=network if recipe.distillation else None,
            )
        except KeyboardInterrupt:
            if run.checkpoint.is_file():
                tell(f"stopped early; the weights so far: {run.checkpoint}")
            raise
    if as_json:
        print_json(_record(model, data, loss.name, recipe, result))
        return
    metric = leading(data.task).name
    rows = [
        (part, quality.samples, quality.metrics[metric], interval_text(quality.interval))
        for part, quality in _qualities(result).items()
    ]
    print_table(["part", "samples", metric, "95 % interval"], rows)
    tell(f"{result.epochs} epochs in {result.seconds:.1f} s; weights: {result.best_checkpoint}")


def _record(
    model: str, data: "DataSet", loss: str, recipe: Recipe, result: "TrainingResult"
) -> dict[str, object]:
    """What --json prints."""
    metric, qualities = leading(data.task).name, _qualities(result)
    return {
        "model": model,
        "data_set": data.name,
        "best_checkpoint": str(result.best_checkpoint),
        **{f"{part}_{metric}": quality.metrics[metric] for part, quality in qualities.items()},
        **{f"{part}_{metric}_interval": quality.interval for part, quality in qualities.items()},
        "epochs": result.epochs,
        "seconds": result.seconds,
        "loss": loss,
        data.task.words.names_key: data.output_names,
        "settings": asdict(recipe),
    }


def _qualities(result: "TrainingResult") -> "dict[str, Quality]":
    return {"validation": result.validation, "test": result.test}


def _continued(name: str) -> AbstractContextManager[RunDirectory]:
    """The directory of a training that did not end.

    Raises:
        RunError: there is none.
    """
    run = RunDirectory(RUNS / name)
    if not is_unfinished(run.path):
        raise RunError(f"{run.path}: no training that did not end lies here; leave out --resume to begin one")
    return run.locked()


def is_used(run: RunDirectory) -> bool:
    """Whether something was trained or searched here already."""
    return run.checkpoint.exists() or run.trials.exists()
