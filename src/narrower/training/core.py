"""Train a model on samples in memory: a plain loop over batches by index, one vector of weights, one step.

The order of samples is that of ``Batches`` with the recipe's seed, so that whoever trains with the same seed
sees the same batches.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from narrower.data.parts import Part
from narrower.errors import NarrowerError, SettingsError
from narrower.training.batches import Batches
from narrower.training.best import Best
from narrower.training.flat import Exchanged, clip, flat_weights
from narrower.training.losses import Losses, outputs_of
from narrower.training.on_samples import Figures, OnSamples
from narrower.training.optimizers import build_optimizers, set_rate
from narrower.training.rates import Plateau, rate_share
from narrower.training.recipe import Recipe
from narrower.training.rounding import Formats, Removable, round_data, round_parameters
from narrower.training.stack import Stack

NORMS = (nn.modules.batchnorm._BatchNorm,)


StepSeen = Callable[[int, float], None]  # is told the number of a step, from 1, and its loss


class Core:
    """One model in training, in place; ``epoch`` after ``epoch`` until ``ended``, then ``finish``.

    The model may be a ``Stack`` of several. ``part`` teaches. ``choosing`` are the samples that choose, where
    the recipe chooses; ``teacher`` is the float model, where it distils; with ``formats`` the model is
    trained rounded as they say. The random numbers that layers draw are those of the global generator.

    ``curve`` has a row for each candidate and epoch: step, loss of the epoch's batches, and loss and leading
    metric on the samples ``watched``, which change nothing.
    """

    def __init__(
        self,
        model: nn.Module,
        part: Part,
        recipe: Recipe,
        losses: Losses,
        *,
        choosing: Part | None = None,
        teacher: nn.Module | None = None,
        formats: Formats | None = None,
        watched: Part | None = None,
    ) -> None:
        self.model, self.recipe, self._losses = model, recipe, losses
        self._part, self._choosing, self._watched = part, choosing, watched
        self.weights = flat_weights(model, recipe, is_stacked=isinstance(model, Stack))
        if not self.weights:
            raise NarrowerError(f"{type(model).__name__} cannot be trained: it has no parameters that learn")
        self._hooks: list[Removable] = []
        if isinstance(model, Stack):
            model.round_parameters(self.weights)
        if formats is not None:
            round_parameters(self.weights, dict(model.named_parameters()), formats.parameters)
            self._hooks = round_data(model, formats.data)
        self._candidates = len(model) if isinstance(model, Stack) else None
        self._on_samples = OnSamples(model, losses, self._candidates)
        self.finite = torch.ones(self._candidates or 1, dtype=torch.bool)  # which candidates' losses were
        self.curve: list[Tensor] = []  # [C, 4] of each epoch
        self._lost = torch.zeros(self._candidates or 1, dtype=torch.float64)  # since the last row
        self._lost_steps = 0
        self.optimizers = build_optimizers(self.weights, recipe)
        self.batches = Batches(part, recipe.batch_size, recipe.seed)
        self.steps = len(self.batches) * recipe.max_epochs
        if recipe.max_steps:
            self.steps = min(self.steps, recipe.max_steps)
        self.stop = self.steps  # where to stop for now: the rates are those of all steps
        self.step = self.epochs = 0
        self._plateau = Plateau()
        self._best = Best(recipe.patience, self._candidates)
        self.average = [each.exact.clone() for each in self.weights] if recipe.average else []
        self._taught = None if teacher is None else outputs_of(teacher, part)

    @property
    def ended(self) -> bool:
        """Whether there is no further epoch: all steps are done, or the loss does not fall any more."""
        return self.step >= self.stop or self._best.ended(self.epochs)

    def epoch(self, seen: StepSeen | None = None) -> None:
        """One pass over the samples, what is left of one, or up to where to stop.

        Raises:
            NarrowerError: the loss is not a number.
            SettingsError: batch norm cannot train on one sample.
        """
        self.model.train()
        if self.recipe.freeze_norms_after and self.epochs >= self.recipe.freeze_norms_after:
            for module in self.model.modules():
                if isinstance(module, NORMS):
                    module.eval()
        for batch in self.batches.indices():
            loss = self._step(batch)
            if seen is not None:
                seen(self.step, loss)
            if self.step >= self.stop:
                break
        if self._watched is not None:
            self.curve.append(self._row(self._watched))
        if not self.batches.is_between_epochs and self.step < self.steps:
            return
        self.epochs += 1
        if self._choosing is not None:
            self._choose(self._choosing)

    def _step(self, batch: Tensor) -> float:
        recipe, weights = self.recipe, self.weights
        for each in weights:
            each.before_step()
        arguments, targets = self._part.at(batch).arguments, self._part.targets[batch]
        taught = None if self._taught is None else self._taught[batch]
        try:
            loss = self._losses.of_batch(
                self.model(*arguments), targets, taught, is_stacked=self._candidates is not None
            )
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise SettingsError(f"batch_size: batch norm cannot train on {len(batch)} sample") from error
        lost = self._checked(loss)
        loss.sum().backward()  # type: ignore[no-untyped-call]
        for each in weights:
            each.after_backward()
        if recipe.clip_norm:
            clip(weights, recipe.clip_norm, self._candidates)
        share = rate_share(recipe, self.step, self.steps) * self._plateau.share
        set_rate(self.optimizers, recipe.learning_rate * share)
        for optimizer in self.optimizers:
            optimizer.step()
        self.step += 1
        for average, each in zip(self.average, weights, strict=False):
            # Early on, few steps are averaged: the first weights are soon forgotten.
            average.lerp_(each.exact, 1 - min(recipe.average, (1 + self.step) / (10 + self.step)))
        return lost

    def _checked(self, loss: Tensor) -> float:
        """The loss, or the mean of those of several candidates; of these, some may be no number."""
        self._lost_steps += 1
        if self._candidates is not None:
            own = loss.detach().cpu()
            self.finite &= torch.isfinite(own)
            self._lost += own
            return float(own.mean())
        lost = loss.item()
        self._lost += lost
        if lost - lost != 0:  # NaN and infinity
            raise NarrowerError(
                f"the loss became {lost} in epoch {self.epochs + 1}; try a learning rate below "
                f"{self.recipe.learning_rate:g}"
            )
        return float(lost)

    def _row(self, watched: Part) -> Tensor:
        """What ``curve`` says of each candidate after an epoch, [C, 4]."""
        taught = self._lost / max(1, self._lost_steps)
        self._lost, self._lost_steps = torch.zeros_like(self._lost), 0
        with self.delivered():
            losses, values = self._on_samples.of_each(watched)
        return torch.stack([torch.full_like(losses, self.step), taught, losses, values], dim=1)

    def _choose(self, choosing: Part) -> None:
        with self.delivered():
            losses = self._on_samples.losses(choosing)
            state = self.exact_state()
        self._plateau.see(float(losses.mean()))
        if self.recipe.patience:
            self._best.see(self.epochs, losses, state)

    def exact_state(self) -> dict[str, Tensor]:
        """A copy of the state dict, with parameters as they are before they are rounded."""
        state = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}
        names = {id(parameter): name for name, parameter in self.model.named_parameters()}
        for each in self.weights:
            for leaf in each.leaves:
                exact = each.exact[leaf.part].view(leaf.parameter.shape)
                state[names[id(leaf.parameter)]] = exact.clone()
        return state

    def delivered(self) -> Exchanged:
        """Within this, the model has the weights that would be kept if the training ended now."""
        return Exchanged(self.weights, self.average)

    def figures(self, part: Part) -> Figures:
        """The leading metric and the loss on some samples; of several candidates over all of them."""
        return self._on_samples.figures(part, self.epochs, self.step)

    def take_best(self) -> None:
        """Where an epoch was chosen: train on from its weights, and keep those."""
        if self._best.state is None:
            return
        names = {id(parameter): name for name, parameter in self.model.named_parameters()}
        with torch.no_grad():
            for number, each in enumerate(self.weights):
                for leaf in each.leaves:
                    each.exact[leaf.part] = self._best.state[names[id(leaf.parameter)]].flatten()
                if self.average:
                    self.average[number].copy_(each.exact)
            for name, buffer in self.model.named_buffers():
                buffer.copy_(self._best.state[name])

    def finish(self) -> None:
        """Give the model the weights that are kept, in memory of their own."""
        for each, average in zip(self.weights, self.average, strict=False):
            each.exact.copy_(average)
        for each in self.weights:
            each.leave()
        for hook in self._hooks:
            hook.remove()
        if self._best.state is not None:
            self.model.load_state_dict(self._best.state)
        if isinstance(self.model, Stack):
            self.model.write_back()

    def state(self) -> dict[str, Any]:
        """Everything that a training needs to go on as if it had not stopped."""
        return {
            "step": self.step,
            "epochs": self.epochs,
            "exact": [each.exact.clone() for each in self.weights],
            "buffers": {name: buffer.clone() for name, buffer in self.model.named_buffers()},
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "average": [average.clone() for average in self.average],
            "plateau": [self._plateau.share, self._plateau.best, self._plateau.epochs_since],
            "best": self._best.to_dict(),
            "curve": [row.clone() for row in self.curve],
            "order": list(self.batches.state()),
            "chance": torch.get_rng_state(),
        }

    def go_on_from(self, state: dict[str, Any]) -> None:
        """Take up what ``state`` gave."""
        self.step, self.epochs = state["step"], state["epochs"]
        with torch.no_grad():
            for each, exact in zip(self.weights, state["exact"], strict=True):
                each.exact.copy_(exact)
            buffers = dict(self.model.named_buffers())
            for name, held in state["buffers"].items():
                buffers[name].copy_(held)
            for average, held in zip(self.average, state["average"], strict=True):
                average.copy_(held)
        for optimizer, held in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(held)
        self._plateau.share, self._plateau.best, self._plateau.epochs_since = state["plateau"]
        self._best.go_on_from(state["best"])
        self.curve = list(state["curve"])
        self.batches.go_on_from(*state["order"])
        torch.set_rng_state(state["chance"])
