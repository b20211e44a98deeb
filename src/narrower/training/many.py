"""Train models of one kind, each in the formats of its plan: many at once where that can be done."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from narrower.data.parts import Part
from narrower.errors import NarrowerError
from narrower.graph.own_copy import own_copy
from narrower.models.ending import ending_of_outputs
from narrower.plan.plan import Plan
from narrower.training.choosing import taught_and_choosing
from narrower.training.core import Core
from narrower.training.losses import Losses
from narrower.training.one_model import check_accelerator, check_teacher, train_weights
from narrower.training.recipe import Recipe
from narrower.training.rounding import Formats, formats_of
from narrower.training.stack import Stack, can_stack, has_steps
from narrower.transform.quantized import original_weights, quantized

CurveSeen = Callable[[int, Tensor], None]  # the place of a candidate, and its curve [E, 4] (``Core.curve``)

ONE_BY_ONE = ("muon", "plateau")  # a matrix by itself, and a rate of its own


def train_in_formats(
    model: nn.Module,
    plan: Plan,
    part: Part,
    recipe: Recipe,
    *,
    teacher: nn.Module | None = None,
    watched: Part | None = None,
    told: Callable[[Tensor], None] | None = None,
) -> nn.Module:
    """A copy of ``model`` with the weights that it has after training in a plan's formats.

    This is the definition of what ``train_all`` gives.

    Raises:
        NarrowerError: its loss became no number, or it cannot be rounded as planned.
    """
    formats = formats_of(model, plan)
    if formats is None:
        rounded = train_weights(
            quantized(model, plan), part, recipe, teacher=teacher, watched=watched, told=told
        )
        return original_weights(model, rounded).eval()
    return train_weights(model, part, recipe, teacher=teacher, formats=formats, watched=watched, told=told)


def train_all(
    models: Sequence[nn.Module],
    plans: Sequence[Plan],
    part: Part,
    recipe: Recipe,
    *,
    teacher: nn.Module | None = None,
    watched: Part | None = None,
    told: CurveSeen | None = None,
) -> list[nn.Module | str]:
    """A trained copy of each model, or why there is none. What goes wrong in one touches no other.

    ``told`` is given the curve of each on the samples ``watched``, which change nothing.
    """
    formats = [_formats(model, plan) for model, plan in zip(models, plans, strict=True)]
    known = [each for each in formats if isinstance(each, Formats)]
    alone = partial(_alone, part=part, recipe=recipe, teacher=teacher, watched=watched)
    if (
        len(known) < len(formats)
        or len(models) == 1
        or not is_together(recipe)
        or has_steps(models[0])
        or not can_stack(models, known)
    ):
        return [
            each
            if isinstance(each, str)
            else alone(model, plan, told=None if told is None else partial(told, place))
            for place, (each, model, plan) in enumerate(zip(formats, models, plans, strict=True))
        ]
    check_accelerator(recipe.accelerator)
    check_teacher(recipe, teacher)
    copies = [own_copy(model) for model in models]
    losses = Losses(recipe, part.task.loss(ending_of_outputs(models[0], part.arguments)))
    taught, choosing = taught_and_choosing(part, recipe)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        core = Core(
            Stack(copies, known, part.first(2).arguments),
            taught,
            recipe,
            losses,
            choosing=choosing,
            teacher=teacher,
            watched=watched,
        )
        while not core.ended:
            core.epoch()
    if told is not None:
        for place, rows in enumerate(torch.stack(core.curve, dim=1)):
            told(place, rows)
    core.finish()
    reason = f"the loss is no number; try a learning rate below {recipe.learning_rate:g}"
    return [
        copied.eval() if is_finite else reason
        for copied, is_finite in zip(copies, core.finite.tolist(), strict=True)
    ]


def is_together(recipe: Recipe) -> bool:
    """Whether a recipe can train candidates together: they share each rate, and vectors of parameters."""
    return not {recipe.optimizer, recipe.schedule} & set(ONE_BY_ONE) and recipe.accelerator == "cpu"


def _formats(model: nn.Module, plan: Plan) -> Formats | str | None:
    try:
        return formats_of(model, plan)
    except NarrowerError as error:
        return str(error)


def _alone(
    model: nn.Module,
    plan: Plan,
    *,
    part: Part,
    recipe: Recipe,
    teacher: nn.Module | None,
    watched: Part | None,
    told: Callable[[Tensor], None] | None,
) -> nn.Module | str:
    try:
        return train_in_formats(model, plan, part, recipe, teacher=teacher, watched=watched, told=told)
    except NarrowerError as error:
        return str(error)
