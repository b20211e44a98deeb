"""The loss of a batch by a recipe: of the classes, and of what the float model gave for the same samples."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from narrower.data.parts import Part
from narrower.models.evaluation_mode import evaluation_mode
from narrower.training.recipe import Recipe

SAMPLES_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class Losses:
    """The losses of a classifier, whose outputs may be logarithms of probabilities."""

    recipe: Recipe
    are_log_probabilities: bool

    def of_batch(self, outputs: Tensor, targets: Tensor, teacher: Tensor | None) -> Tensor:
        """What a step lowers; ``teacher`` are the float model's outputs."""
        recipe = self.recipe
        if teacher is None:
            return self._of_classes(outputs, targets, recipe.label_smoothing)
        # Hinton et al. (2015): the square of the temperature keeps the size of the gradient.
        taught = F.kl_div(
            F.log_softmax(outputs / recipe.temperature, dim=1),
            F.log_softmax(teacher / recipe.temperature, dim=1),
            reduction="batchmean",
            log_target=True,
        )
        share = recipe.distillation
        return (1 - share) * self._of_classes(outputs, targets, recipe.label_smoothing) + (
            share * recipe.temperature**2 * taught
        )

    def plain(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Without smoothing or teacher: what is shown and compared."""
        return self._of_classes(outputs, targets, 0.0)

    def _of_classes(self, outputs: Tensor, targets: Tensor, smoothing: float) -> Tensor:
        if not self.are_log_probabilities:
            return F.cross_entropy(outputs, targets, label_smoothing=smoothing)
        right = F.nll_loss(outputs, targets)
        return right if not smoothing else (1 - smoothing) * right - smoothing * outputs.mean()


def outputs_of(model: nn.Module, part: Part) -> Tensor:
    """What a model in evaluation mode gives for every sample."""
    with evaluation_mode(model), torch.no_grad():
        return torch.cat([model(some.clone()) for some in torch.split(part.inputs, SAMPLES_AT_ONCE)])
