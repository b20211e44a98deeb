"""Which channels of a model can change: what its graph says, and what shows when it is tried."""

import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from narrower.errors import ModelError
from narrower.graph.channels.labelling import Kept
from narrower.graph.groups import Channels, Copies, Group, find_channels
from narrower.graph.program import Program
from narrower.graph.trace import trace
from narrower.transform.new_sizes import changed_copy
from narrower.transform.suspects import suspects


def groups(model: nn.Module, example: Tensor | Sequence[Tensor]) -> tuple[Group, ...]:
    """Which channels change together, in the order of the model's parameters; see ``tried_channels``."""
    examples = (example,) if isinstance(example, Tensor) else tuple(example)
    return tried_channels(model, trace(model, examples), examples).groups


def tried_channels(model: nn.Module, program: Program, examples: Sequence[Tensor]) -> Channels:
    """The channels of a traced model; each group that looks free is tried at twice its width.

    Groups that work together with many others, at one unit more, are not tried alone (see suspects.py).
    Groups that do not run so alone, but do together, are one: sizes in the user's code follow from one
    another. Those that do not run at all say why. Where a view cuts channels in parts (3 x heads x channels),
    the first of these is thought to grow, then the second, ..., until no more layers can change so; at last
    it is seen in the model at twice its width.

    Raises:
        ModelError: the model could not be traced.
    """
    kept: Kept = frozenset()
    best, best_kept = _tried(find_channels(model, program), model, examples), kept
    found = best
    while found.cuts - kept:
        kept |= found.cuts
        found = _tried(find_channels(model, program, kept), model, examples)
        if _free_layers(found) > _free_layers(best):
            best, best_kept = found, kept
    seen = _kept_sizes(best, model, examples) - best_kept if best.cuts else frozenset()
    return _tried(find_channels(model, program, best_kept | seen), model, examples) if seen else best


def _free_layers(channels: Channels) -> set[str]:
    return {layer for group in channels.groups if group.can_change for layer in group.layers}


def _tried(found: Channels, model: nn.Module, examples: Sequence[Tensor]) -> Channels:
    wanted = outputs_of(model, examples)
    free = [group for group in found.groups if group.can_change]
    failures: dict[str, str | None] = dict.fromkeys((group.name for group in free), None)

    def works(groups: Sequence[Group]) -> bool:
        """At one unit more, which takes little memory, and which no constant divides."""
        return failure_of(_wider(found, model, groups), examples, wanted) is None

    for group in suspects(free, works):
        failure = failure_of(_wider(found, model, [group], 2), examples, wanted)
        if failure is not None:  # one unit more is what no constant divides: the error names the line
            failure = failure_of(_wider(found, model, [group]), examples, wanted) or failure
        failures[group.name] = failure
    failing = [group for group in free if failures[group.name] is not None]
    if len(failing) > 1 and failure_of(_wider(found, model, failing, 2), examples, wanted) is None:
        return found.joined(failing)
    return replace(
        found,
        groups=tuple(
            replace(group, reasons=(failure,))
            if group.can_change and (failure := failures[group.name]) is not None
            else group
            for group in found.groups
        ),
    )


def _wider(found: Channels, model: nn.Module, groups: Sequence[Group], times: int | None = None) -> nn.Module:
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


def _kept_sizes(found: Channels, model: nn.Module, examples: Sequence[Tensor]) -> Kept:
    """The sizes in views that stay when everything that can grow is twice as wide, against expectation."""
    free = [group for group in found.groups if group.can_change]
    counts = {family: 2 * found.units_in(family) for group in free for family in found.families_of(group)}
    try:
        real = trace(_wider(found, model, free, 2), examples).as_traced.network.operator_by_name
    except ModelError:
        return frozenset()
    old, expected = found.network.operator_by_name, found.resized_network(counts).operator_by_name
    return frozenset(
        (name, position)
        for name in {name for name, _ in found.cuts}
        if name in real and len(real[name].output_shape) == len(old[name].output_shape)
        for position, size in enumerate(old[name].output_shape)
        if real[name].output_shape[position] == size != expected[name].output_shape[position]
    )
