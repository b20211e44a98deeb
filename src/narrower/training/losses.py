"""The loss of a batch by a recipe: the task's own, and what the float model gave for the same samples."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from narrower.data.arguments import copies
from narrower.data.parts import Part
from narrower.data.sizes import SAMPLES_AT_ONCE
from narrower.errors import SettingsError
from narrower.models.evaluation_mode import evaluation_mode
from narrower.tasks.classification.task import cross_entropy, two_scores
from narrower.tasks.columns import OF_CLASSES
from narrower.tasks.task import Loss, OfSamples
from narrower.training.recipe import Recipe

# The same in one operation of PyTorch's, where there is one: a loss is taken in each step.
_IN_ONE: dict[OfSamples, OfSamples] = {
    cross_entropy: lambda outputs, targets: F.cross_entropy(two_scores(outputs), targets, reduction="none")
}


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

    def of_batch(
        self, outputs: Tensor, targets: Tensor, teacher: Tensor | None, *, is_stacked: bool = False
    ) -> Tensor:
        """What a step lowers; ``teacher`` are the float model's outputs.

        Of several candidates, with one dimension more in front, a loss for each.
        """
        if is_stacked:
            return self._of_each(outputs, targets, teacher)
        return self._of_samples(outputs, targets, teacher).mean()

    def of_plain(self, outputs: Tensor, targets: Tensor, *, is_stacked: bool = False) -> Tensor:
        """Without smoothing or teacher: what is shown and compared; of several candidates for each."""
        if not is_stacked:
            return self._own(outputs, targets).mean()
        losses = self._own(outputs.flatten(0, 1), repeated(targets, len(outputs)))
        return losses.view(len(outputs), -1).mean(dim=1)

    def _own(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return _IN_ONE.get(self.loss.of_samples, self.loss.of_samples)(outputs, targets)

    def _of_each(self, outputs_cno: Tensor, targets: Tensor, teacher: Tensor | None) -> Tensor:
        count = len(outputs_cno)
        is_plain = (
            teacher is None
            and not self.recipe.label_smoothing
            and outputs_cno.dim() == OF_CLASSES
            and outputs_cno.shape[2] > 1
        )
        if self.loss.of_samples is cross_entropy and is_plain:
            return _cross_entropies(outputs_cno, targets)
        every = None if teacher is None else repeated(teacher, count)
        losses = self._of_samples(outputs_cno.flatten(0, 1), repeated(targets, count), every)
        return losses.view(count, -1).mean(dim=1)

    def _of_samples(self, outputs: Tensor, targets: Tensor, teacher: Tensor | None) -> Tensor:
        recipe = self.recipe
        if recipe.label_smoothing:
            assert self.loss.smoothed is not None
            own = self.loss.smoothed(outputs, targets, recipe.label_smoothing)
        else:
            own = self._own(outputs, targets)
        if teacher is None:
            return own
        assert self.loss.taught is not None
        taught = self.loss.taught(outputs, teacher, recipe.temperature)
        return (1 - recipe.distillation) * own + recipe.distillation * taught


def _cross_entropies(outputs_cno: Tensor, targets: Tensor) -> Tensor:
    """Of each candidate, [C]; classes outside, which is many times as fast for few of them."""
    logarithms = outputs_cno.permute(2, 0, 1).contiguous().log_softmax(dim=0)
    return -logarithms.gather(0, targets.expand(1, *logarithms.shape[1:]))[0].mean(dim=1)


def repeated(values_n: Tensor, count: int) -> Tensor:
    """The same values [N, ...] for each of several candidates, one after the other."""
    return values_n.expand(count, *values_n.shape).flatten(0, 1)


def outputs_of(model: nn.Module, part: Part) -> Tensor:
    """What a model in evaluation mode gives for every sample."""
    with evaluation_mode(model), torch.no_grad():
        starts = range(0, len(part), SAMPLES_AT_ONCE)
        parts = (part.between(start, start + SAMPLES_AT_ONCE) for start in starts)
        return torch.cat([model(*copies(some.arguments)) for some in parts])
