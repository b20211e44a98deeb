"""Whether a model runs where some of its channels are more, with its numbers or by its shapes alone."""

import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from narrower.graph.groups import Channels, Copies, Group
from narrower.graph.own_copy import own_copy
from narrower.transform.new_sizes import changed_copy


@dataclass(frozen=True, slots=True)
class Tries:
    """A model, what it is called with, and the outputs that it gives.

    ``by_shape`` is the same without numbers, where the model runs so: on PyTorch's device ``meta`` a deep
    network takes milliseconds instead of seconds.
    """

    model: nn.Module
    examples: Sequence[Tensor]
    wanted: Sequence[Tensor]
    by_shape: "Tries | None" = None

    def failure(self, found: Channels, groups: Sequence[Group], times: int | None = None) -> str | None:
        """Why the model does not run with some groups so many times as wide; None where it does.

        Without a number: by one unit of each family, which takes little memory and no constant divides.
        """
        return failure_of(wider(found, self.model, groups, times), self.examples, self.wanted)


def tries(model: nn.Module, examples: Sequence[Tensor]) -> Tries:
    """A model to be tried at other widths."""
    wanted = outputs_of(model, examples)
    try:
        light = own_copy(model).to("meta")
    except NotImplementedError:  # a tensor of a kind that is never without numbers
        return Tries(model, examples, wanted)
    shapes = Tries(light, [example.to("meta") for example in examples], wanted)
    runs = failure_of(light, shapes.examples, wanted) is None
    return Tries(model, examples, wanted, shapes if runs else None)


def wider(found: Channels, model: nn.Module, groups: Sequence[Group], times: int | None = None) -> nn.Module:
    """The model with some groups so many times as wide; without a number, by one unit of each family."""
    copies: dict[int, Copies] = {}
    for group in groups:
        for family in found.families_of(group):
            units = tuple(range(found.units_in(family)))
            copies[family] = (*units, 0) if times is None else units * times
    return changed_copy(model, found, copies, "net2net", 0, shares=True)


def outputs_of(model: nn.Module, examples: Sequence[Tensor]) -> list[Tensor]:
    """The tensors that a model gives in evaluation mode; it stays in the mode that it is in."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        with torch.no_grad():
            outputs = model.eval()(*examples)
    finally:
        for module, was_training in modes:
            module.training = was_training
    return [leaf for leaf in torch.utils._pytree.tree_leaves(outputs) if isinstance(leaf, Tensor)]


def failure_of(changed: nn.Module, examples: Sequence[Tensor], wanted: Sequence[Tensor]) -> str | None:
    """Why a model of other widths gives no outputs of the wanted shapes; None where it does."""
    try:
        outputs = outputs_of(changed, examples)
    except Exception as error:
        return f"another width does not run: {_reason(error)}"
    before, after = ([tuple(tensor.shape) for tensor in tensors] for tensors in (wanted, outputs))
    if before != after:
        return f"at another width the outputs have the shape {after} in place of {before}"
    return None


def _reason(error: Exception) -> str:
    """What went wrong in the user's own line."""
    lines = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "/torch/" not in frame.filename and Path(frame.filename) != Path(__file__)
    ]
    where = f"{Path(lines[-1].filename).name}:{lines[-1].lineno}: " if lines else ""
    return f"{where}{str(error).strip().splitlines()[0]}"
