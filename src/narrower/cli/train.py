"""``narrower train``: fit a model to a data set."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from narrower.cli.console import messages, note, print_json, print_table, tell, warn
from narrower.cli.numbers import LARGEST_SEED, MOST, number_within
from narrower.intervals import wilson_interval
from narrower.models.catalogue import model_name
from narrower.settings.checks import names_between_commas
from narrower.store.run_directory import RunDirectory, claimed, first_free
from narrower.training.recipe import Recipe

DEFAULTS = Recipe()

Model = Annotated[
    str, typer.Argument(metavar="MODEL", help="A name of 'narrower models', or package.module:callable.")
]
Dataset = Annotated[
    str, typer.Argument(metavar="DATASET", help="A name of 'narrower datasets', or package.module:function.")
]
Epochs = Annotated[int, typer.Option("--max-epochs", min=1, max=MOST, help="Passes over the training part.")]
BatchSize = Annotated[int, typer.Option("--batch-size", min=1, max=MOST, help="Samples in one step.")]
LearningRate = Annotated[
    float,
    typer.Option(
        "--learning-rate",
        parser=number_within(1e-12, 1e6),
        metavar="FLOAT",
        help="Of Adam at the first step; falls to zero along a cosine.",
    ),
]
Seed = Annotated[
    int,
    typer.Option(
        "--seed",
        min=0,
        max=LARGEST_SEED,
        help="Of the first weights and the order of samples, not of the split.",
    ),
]
Accelerator = Annotated[str, typer.Option("--accelerator", help="cpu, gpu, mps or auto.")]
Project = Annotated[
    str | None, typer.Option("--project", help="Write below runs/PROJECT.", show_default="MODEL-DATASET")
]
Load = Annotated[Path | None, typer.Option("--load", help="Weights to begin with.")]
DataPath = Annotated[
    Path | None,
    typer.Option("--data-path", help="The file of 'jsc', or the folder of 'cifar10' or 'cifar100'."),
]
ClassOrder = Annotated[
    str | None,
    typer.Option("--class-order", help="Classes in the order of the model's outputs, such as g,q,w,z,t."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def train(
    model: Model,
    dataset: Dataset,
    max_epochs: Epochs = DEFAULTS.max_epochs,
    batch_size: BatchSize = DEFAULTS.batch_size,
    learning_rate: LearningRate = DEFAULTS.learning_rate,
    seed: Seed = DEFAULTS.seed,
    accelerator: Accelerator = DEFAULTS.accelerator,
    project: Project = None,
    load: Load = None,
    data_path: DataPath = None,
    class_order: ClassOrder = None,
    as_json: Json = False,
) -> None:
    """Train MODEL on DATASET and keep the weights after the last epoch.

    Writes checkpoints/best.ckpt and logs for TensorBoard and as CSV to a new directory below runs/.
    """
    settings = Recipe(max_epochs, batch_size, learning_rate, seed, accelerator)
    name = project or f"{model}-{dataset}"
    first_free(name, is_used)  # a name that is none shows before the work
    model = model_name(model)
    from narrower.data.datasets import load_data_set
    from narrower.models.build import build_model
    from narrower.models.checkpoints import load_weights
    from narrower.tasks.class_order import check_class_order, in_class_order
    from narrower.tasks.ending import ending_of
    from narrower.tasks.scoring import check_fit

    data = load_data_set(dataset, path=data_path)
    if class_order is not None:
        data = in_class_order(data, names_between_commas(class_order))
    network = build_model(model, seed=seed, sizes=data.sizes)
    if load is not None:
        network = load_weights(network, load, say=note)
    check_fit(network, data)
    if load is not None and class_order is None:
        check_class_order(network, data, str(load))
    ending = ending_of(network, data.train.inputs)
    warn(*ending.warnings(model))
    from narrower.training import one_model

    one_model.check_accelerator(accelerator)
    with claimed(name, is_used) as run:
        tell(f"training {model} on {data.name}: {run.path}")
        try:
            result = one_model.train(network, data, settings, run.path, show_progress=messages().is_terminal)
        except KeyboardInterrupt:
            if run.checkpoint.is_file():
                tell(f"stopped early; the weights so far: {run.checkpoint}")
            raise
    accuracies = {
        "validation": (result.validation_accuracy, len(data.validation)),
        "test": (result.test_accuracy, len(data.test)),
    }
    intervals = {
        name: wilson_interval(round(accuracy * count), count)
        for name, (accuracy, count) in accuracies.items()
    }
    if as_json:
        print_json(
            {
                "model": model,
                "data_set": data.name,
                "best_checkpoint": str(result.best_checkpoint),
                "validation_accuracy": result.validation_accuracy,
                "validation_accuracy_interval": intervals["validation"],
                "test_accuracy": result.test_accuracy,
                "test_accuracy_interval": intervals["test"],
                "epochs": result.epochs,
                "seconds": result.seconds,
                "loss": ending.loss,
                "class_names": data.class_names,
                "settings": asdict(settings),
            }
        )
        return
    rows = [
        (name, count, accuracy, "{:.4f} to {:.4f}".format(*intervals[name]))
        for name, (accuracy, count) in accuracies.items()
    ]
    print_table(["part", "samples", "accuracy", "95 % interval"], rows)
    tell(f"{result.epochs} epochs in {result.seconds:.1f} s; weights: {result.best_checkpoint}")


def is_used(run: RunDirectory) -> bool:
    """Whether something was trained or searched here already."""
    return run.checkpoint.exists() or run.trials.exists()
