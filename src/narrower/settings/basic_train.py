"""How MASE/chop's ``[sw_runner.basic_train]`` says that candidates are trained, as a recipe."""

from dataclasses import replace
from typing import Annotated, Any

from pydantic import PlainValidator

from narrower.settings import checks
from narrower.settings.table import Count, CountOrNone, NotNegative, Positive, Table, given_keys
from narrower.training.recipe import Recipe

WHERE = "search.strategy.sw_runner.basic_train"
OPTIMIZERS = ("adam", "adamw", "sgd")
# Names of schedules there, with what they are here.
SCHEDULES = {
    "linear": "linear",
    "cosine": "cosine",
    "cosine_with_restarts": "cosine_restarts",
    "constant": "constant",
    "constant_with_warmup": "constant",
}
ABSENT = {"polynomial": "nearest: 'linear'", "inverse_sqrt": "nearest: 'cosine'"}
LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")


class BasicTrain(Table):
    """``[search.strategy.sw_runner.basic_train]``; what is left out is as for the model."""

    data_loader: Annotated[str, PlainValidator(checks.one_of(LOADERS))] | None = None
    name: Annotated[str, PlainValidator(checks.text)] | None = None
    num_samples: Count | None = None
    max_epochs: Count | None = None
    optimizer: Annotated[str, PlainValidator(checks.one_of(OPTIMIZERS))] | None = None
    lr_scheduler: Annotated[str, PlainValidator(checks.one_of(tuple(SCHEDULES), ABSENT))] | None = None
    learning_rate: Positive | None = None
    weight_decay: NotNegative | None = None
    num_warmup_steps: CountOrNone | None = None
    gradient_accumulation_steps: Count | None = None


def with_basic_train(recipe: Recipe, table: BasicTrain | None) -> Recipe:
    """The recipe with what the table gives; ``num_samples`` are those of an epoch, in steps of a batch."""
    if table is None:
        return recipe
    given: dict[str, Any] = {
        "max_epochs": table.max_epochs,
        "optimizer": table.optimizer,
        "schedule": None if table.lr_scheduler is None else SCHEDULES[table.lr_scheduler],
        "learning_rate": table.learning_rate,
        "weight_decay": table.weight_decay,
        "warmup_steps": table.num_warmup_steps,
    }
    recipe = replace(recipe, **{name: value for name, value in given.items() if value is not None})
    if table.num_samples is None:
        return recipe
    steps = recipe.max_epochs * -(-table.num_samples // recipe.batch_size)
    return replace(recipe, max_steps=min(steps, recipe.max_steps or steps))


def basic_train_notes(table: BasicTrain | None, *, trains: bool) -> tuple[str, ...]:
    """What of the table has no effect; ``trains`` tells whether candidates are trained at all."""
    if table is None:
        return ()
    if not trains:
        return (f"{WHERE}: nothing is trained with eval_mode = true; the table is passed over",)
    elsewhere = {
        "name": "metrics are those of search.strategy.metrics",
        "gradient_accumulation_steps": "each batch is a step",
    }
    if table.data_loader not in (None, "train_dataloader"):
        elsewhere["data_loader"] = "candidates are trained on the training part"
    found = [f"{key} ({why})" for key, why in elsewhere.items() if key in given_keys(table)]
    return (f"{WHERE}: passed over: {', '.join(found)}",) if found else ()
