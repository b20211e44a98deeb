"""The tables that say how something is trained: ``[training]`` and ``[search.strategy.training]``."""

from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field, PlainValidator

from narrower.preparation.settings import IMPORTANCES
from narrower.searching.objective import PROXIES
from narrower.settings import checks
from narrower.settings.table import (
    BatchSize,
    BelowOne,
    Count,
    CountOrNone,
    NotNegative,
    OpenShare,
    Positive,
    Share,
    Switch,
    Table,
)
from narrower.training.finetuning import UNTRAINED
from narrower.training.recipe import OPTIMIZERS, SCHEDULES, Recipe

WHENS = ("candidates", "front", "rounds")
STARTS = ("float", "nearest")
ROUNDS = 3  # where nothing else is said


class RecipeTable(Table):
    """Every field of ``Recipe`` but the seed and where it runs; what is left out is as it was before."""

    max_epochs: Count | None = None
    batch_size: BatchSize | None = None
    learning_rate: Positive | None = None
    optimizer: Annotated[str, PlainValidator(checks.one_of(OPTIMIZERS))] | None = None
    momentum: BelowOne | None = None
    schedule: Annotated[str, PlainValidator(checks.one_of(SCHEDULES))] | None = None
    cycles: Count | None = None
    warmup_steps: CountOrNone | None = None
    weight_decay: NotNegative | None = None
    decay_all: Switch | None = None
    clip_norm: NotNegative | None = None
    label_smoothing: BelowOne | None = None
    max_steps: CountOrNone | None = None
    patience: CountOrNone | None = None
    choosing_share: OpenShare | None = None
    average: BelowOne | None = None
    distillation: Share | None = None
    temperature: Positive | None = None
    freeze_norms_after: CountOrNone | None = None


class Target(Table):
    """``target = {ebops = 500}``: one cost."""

    ebops: Positive | None = None
    bitops: Positive | None = None
    model_size: Positive | None = None
    energy: Positive | None = None
    average_bitwidth: Positive | None = None


class CandidateTraining(RecipeTable):
    """``[search.strategy.training]``: how plans are trained.

    ``when`` is for number formats: each plan before it is scored (candidates), the members of the front after
    the search (front), or all plans after the search, in ``rounds`` of which the best quarter goes on; with
    ``order`` a number without training chooses the quarter that is trained at all. With ``from`` each
    candidate starts from the float weights, or from those of the nearest plan that was trained.
    After the search, ``seeds`` trainings of the front's members say how far they end apart. With ``folds``
    plans are trained in each and scored by cross-validation.
    Without it, the table is about the weights of resized candidates.
    """

    n_epochs: Count | None = None  # another name of max_epochs
    when: Annotated[str, PlainValidator(checks.one_of(WHENS))] | None = None
    rounds: Annotated[int, PlainValidator(checks.whole_number(2, 10))] | None = None
    order: Annotated[str, PlainValidator(checks.one_of((UNTRAINED, *PROXIES)))] | None = None
    start: Annotated[str, PlainValidator(checks.one_of(STARTS))] | None = Field(default=None, alias="from")
    weights: Annotated[str, PlainValidator(checks.one_of(("scratch", "slice", "net2net")))] | None = None
    importance: Annotated[str, PlainValidator(checks.one_of(IMPORTANCES))] = "l2"
    seeds: Annotated[int, PlainValidator(checks.whole_number(1, 100))] | None = None
    folds: Annotated[int, PlainValidator(checks.whole_number(1, 100))] | None = None
    n_seeds: Annotated[int, PlainValidator(checks.whole_number(1, 100))] = 1
    keep: Annotated[str, PlainValidator(checks.one_of(("mean", "best")))] = "mean"
    target: Target | None = None  # where widths are learned: the cost that the training comes to


OF_RESIZED = ("weights", "importance", "n_seeds", "keep")
RECIPE_KEYS = tuple(RecipeTable.model_fields)


def with_table(recipe: Recipe, table: RecipeTable | None) -> Recipe:
    """The recipe with what a table gives."""
    given: dict[str, Any] = {
        key: value for key in RECIPE_KEYS if table is not None and (value := getattr(table, key)) is not None
    }
    return replace(recipe, **given)
