"""All trained parameters of a model as parts of one vector, so that a step of an optimizer is one operation.

Where parameters are rounded while training, the model sees a second vector: rounded anew before each step,
once for all. A gradient passes where ``Rounding`` says.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from narrower.training.recipe import Recipe


class Rounding(Protocol):
    """Writes the rounded form of a vector of parameters."""

    def write(self, exact: Tensor, rounded: Tensor) -> None:
        """Round ``exact`` into ``rounded``, another vector of the same length."""

    def mask(self, gradient: Tensor) -> None:
        """Take from the gradient, in place, what does not pass; what was written last counts."""


@dataclass(frozen=True)
class Leaf:
    """A parameter, and where in the vector it lies."""

    parameter: Tensor
    start: int

    @property
    def part(self) -> slice:
        return slice(self.start, self.start + self.parameter.numel())


class FlatWeights:
    """The parameters of a model in training; ``leave`` gives each its own memory back."""

    def __init__(self, parameters: Sequence[Tensor], decays: Sequence[bool], *, matrices_apart: bool) -> None:
        apart = [p for p in parameters if matrices_apart and p.dim() == 2]  # noqa: PLR2004
        taken = {id(p) for p in apart}
        rest = [(p, d) for p, d in zip(parameters, decays, strict=True) if id(p) not in taken]
        decaying = [p for p, d in rest if d]
        others = [p for p, d in rest if not d]
        self.leaves, self.exact = _as_one([*apart, *decaying, *others])
        self.seen, self._rounding = self.exact, None  # type: tuple[Tensor, Rounding | None]
        self.gradient = torch.zeros_like(self.exact)
        self._point(self.exact)
        ends = [sum(p.numel() for p in some) for some in (apart, decaying, others)]
        self.matrices = [self._master(leaf.part, leaf.parameter.shape) for leaf in self.leaves[: len(apart)]]
        self.decaying = self._vector(ends[0], ends[0] + ends[1])
        self.others = self._vector(ends[0] + ends[1], sum(ends))

    def _point(self, held: Tensor) -> None:
        for leaf in self.leaves:
            leaf.parameter.data = held[leaf.part].view(leaf.parameter.shape)
            leaf.parameter.grad = self.gradient[leaf.part].view(leaf.parameter.shape)

    def _vector(self, start: int, stop: int) -> list[Tensor]:
        return [self._master(slice(start, stop), (stop - start,))] if stop > start else []

    def _master(self, part: slice, shape: Sequence[int]) -> Tensor:
        """What an optimizer steps: a view of the exact numbers, with its gradient."""
        master = self.exact[part].view(shape)
        master.grad = self.gradient[part].view(shape)
        return master

    def round_with(self, rounding: Rounding) -> None:
        """From now on the model sees rounded numbers; the exact ones are trained."""
        self.seen, self._rounding = torch.empty_like(self.exact), rounding
        self._point(self.seen)

    def before_step(self) -> None:
        """Round, and forget the last gradient."""
        if self._rounding is not None:
            self._rounding.write(self.exact, self.seen)
        self.gradient.zero_()

    def after_backward(self) -> None:
        """Take from the gradient what does not pass."""
        if self._rounding is not None:
            self._rounding.mask(self.gradient)

    def leave(self) -> None:
        """Give every parameter memory of its own, with the exact numbers."""
        for leaf in self.leaves:
            shape = leaf.parameter.shape
            leaf.parameter.data = self.exact[leaf.part].view(shape).clone()
            leaf.parameter.grad = None


def _as_one(parameters: Sequence[Tensor]) -> tuple[list[Leaf], Tensor]:
    leaves, start = [], 0
    for parameter in parameters:
        leaves.append(Leaf(parameter, start))
        start += parameter.numel()
    return leaves, torch.cat([p.detach().flatten() for p in parameters])


def flat_weights(model: nn.Module, recipe: Recipe, *, is_stacked: bool = False) -> list[FlatWeights]:
    """The parameters of a model that learn, each once: a vector for each type of numbers."""
    by_type: dict[torch.dtype, list[Tensor]] = {}
    for parameter in model.parameters():
        if parameter.requires_grad:
            by_type.setdefault(parameter.dtype, []).append(parameter)
    of_vectors = 2 if is_stacked else 1  # dimensions of biases and the numbers of norms
    is_muon = recipe.optimizer == "muon"
    return [
        FlatWeights(some, [recipe.decay_all or p.dim() > of_vectors for p in some], matrices_apart=is_muon)
        for some in by_type.values()
    ]


def clip(weights: Sequence[FlatWeights], largest: float, candidates: int | None = None) -> None:
    """Bound the norm of all gradients together; of several candidates, whose parameters are stacked, each."""
    gradients = [
        each.gradient[leaf.part].view(candidates or 1, -1) for each in weights for leaf in each.leaves
    ]
    squares = torch.stack([gradient.square().sum(dim=1) for gradient in gradients])
    shares = (largest / (squares.sum(dim=0).sqrt() + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(shares[:, None])


class Exchanged:
    """Exchanges the weights that are trained for their average, and back; rounded where they are rounded."""

    def __init__(self, weights: list["FlatWeights"], average: list[Tensor]) -> None:
        self._weights, self.average = weights, average

    def __enter__(self) -> None:
        self._exchange()
        for each in self._weights:
            each.before_step()

    def __exit__(self, *_: object) -> None:
        self._exchange()

    def _exchange(self) -> None:
        for each, average in zip(self._weights, self.average, strict=False):
            held = each.exact.clone()
            each.exact.copy_(average)
            average.copy_(held)
