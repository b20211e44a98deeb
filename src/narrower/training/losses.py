"""The loss of a batch by a recipe: the task's own, and what the float model gave for the same samples."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from narrower.data.parts import Part
from narrower.errors import SettingsError
from narrower.models.evaluation_mode import evaluation_mode
from narrower.tasks.task import Loss
from narrower.training.recipe import Recipe

SAMPLES_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class Losses:
    """The losses that a recipe makes of a task's.

    Raises:
        SettingsError: the recipe asks for what the task does not have.
    """

    recipe: Recipe
    loss: Loss

    def __post_init__(self) -> None:
        for name, there in (("label_smoothing", self.loss.smoothed), ("distillation", self.loss.taught)):
            if getattr(self.recipe, name) and there is None:
                raise SettingsError(f"{name}: there is none for the {self.loss.name}; allowed: 0")

    def of_batch(self, outputs: Tensor, targets: Tensor, teacher: Tensor | None) -> Tensor:
        """What a step lowers; ``teacher`` are the float model's outputs."""
        recipe = self.recipe
        own = self._of_targets(outputs, targets)
        if teacher is None:
            return own
        assert self.loss.taught is not None
        taught = self.loss.taught(outputs, teacher, recipe.temperature).mean()
        return (1 - recipe.distillation) * own + recipe.distillation * taught

    def plain(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Without smoothing or teacher: what is shown and compared."""
        return self.loss.of_samples(outputs, targets).mean()

    def _of_targets(self, outputs: Tensor, targets: Tensor) -> Tensor:
        if not self.recipe.label_smoothing:
            return self.plain(outputs, targets)
        assert self.loss.smoothed is not None
        return self.loss.smoothed(outputs, targets, self.recipe.label_smoothing).mean()


def outputs_of(model: nn.Module, part: Part) -> Tensor:
    """What a model in evaluation mode gives for every sample."""
    with evaluation_mode(model), torch.no_grad():
        return torch.cat([model(some.clone()) for some in torch.split(part.inputs, SAMPLES_AT_ONCE)])
