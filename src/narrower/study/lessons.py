"""What the plans of one finetuning are trained on, and from which weights: the same in every process."""

import io
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import nn

from narrower.data.folds import folds_of, together
from narrower.data.parts import Part
from narrower.graph.own_copy import own_copy
from narrower.training.finetuning import Finetuning
from narrower.training.in_rounds import InRounds
from narrower.training.one_model import train_weights
from narrower.training.recipe import Recipe
from narrower.training.untrained import untrained


@dataclass(frozen=True, slots=True)
class Lesson:
    """How, in which fold from 0 on, and from which weights (packed); None: no fold, the given model's."""

    recipe: Recipe
    fold: int | None = None
    begun: bytes | None = None


@dataclass(frozen=True)
class Lessons:
    """The given model, the samples that teach and those that score, and how plans are trained."""

    model: nn.Module
    train: Part
    scored: Part
    how: Finetuning

    @cached_property
    def folds(self) -> list[tuple[Part, Part]]:
        """The samples that teach and those that score, of each fold of both parts.

        Raises:
            SettingsError: there are fewer samples than folds.
        """
        return folds_of(together(self.train, self.scored), self.how.folds, self.how.recipe.seed)

    def float_weights(self, fold: int) -> bytes:
        """Those of the float model of a fold, trained from parameters that are drawn anew.

        Raises:
            ModelError: the model does not say how its parameters are drawn.
        """
        recipe = self.how.float_recipe
        begun = train_weights(untrained(self.model, recipe.seed), self.folds[fold][0], recipe)
        return packed(begun.state_dict())

    def in_rounds(self, lesson: Lesson) -> InRounds:
        """What trains plans as a lesson says."""
        if lesson.fold is None or lesson.begun is None:
            return InRounds(self.model, self.train, lesson.recipe, self.scored)
        teaches, scores = self.folds[lesson.fold]
        model = own_copy(self.model)
        model.load_state_dict(unpacked(lesson.begun))
        return InRounds(model.eval(), teaches, lesson.recipe, scores)


def packed(content: Any) -> bytes:
    """Tensors and plain values, to be sent to another process."""
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def unpacked(content: bytes) -> Any:
    """What ``packed`` was given."""
    return torch.load(io.BytesIO(content), weights_only=True)
