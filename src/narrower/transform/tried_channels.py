"""Which channels of a model can change: what its graph says, and what shows when it is tried."""

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor, nn

from narrower.errors import ModelError
from narrower.graph.channels.labelling import Kept
from narrower.graph.find_channels import find_channels
from narrower.graph.groups import Channels, Group
from narrower.graph.program import Program
from narrower.graph.resized_network import resized_network
from narrower.graph.trace import trace
from narrower.transform.own_sizes import with_own_sizes
from narrower.transform.suspects import suspects
from narrower.transform.tries import Tries, tries, wider


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
    tried = tries(model, examples)
    best, best_kept = _tried(find_channels(model, program), tried), kept
    found = best
    while found.cuts - kept:
        kept |= found.cuts
        found = _tried(find_channels(model, program, kept), tried)
        if _free_layers(found) > _free_layers(best):
            best, best_kept = found, kept
    seen = _kept_sizes(best, model, examples) - best_kept if best.cuts else frozenset()
    return _tried(find_channels(model, program, best_kept | seen), tried) if seen else best


def _free_layers(channels: Channels) -> set[str]:
    return {layer for group in channels.groups if group.can_change for layer in group.layers}


def _tried(found: Channels, tried: Tries) -> Channels:
    free = [group for group in found.groups if group.can_change]
    failures: dict[str, str | None] = dict.fromkeys((group.name for group in free), None)

    def works(groups: Sequence[Group]) -> bool:
        """With its numbers all together, and where these run, some of them by their shapes."""
        by_shape = tried.by_shape if len(groups) < len(free) else None
        if by_shape is not None and by_shape.failure(found, groups) is None:
            return True
        return tried.failure(found, groups) is None

    for group in suspects(free, works):
        failure = tried.failure(found, [group], 2)
        if failure is not None:  # one unit more is what no constant divides: the error names the line
            failure = tried.failure(found, [group]) or failure
        failures[group.name] = failure
    failing = [group for group in free if failures[group.name] is not None]
    found = with_own_sizes(found, [[group] for group in failing], tried)
    if found.own_sizes:
        mended = [group for group in failing if tried.failure(found, [group], 2) is None]
        failures |= dict.fromkeys((group.name for group in mended), None)
        failing = [group for group in failing if group not in mended]
    if len(failing) > 1:
        together = (
            found if tried.failure(found, failing, 2) is None else with_own_sizes(found, [failing], tried)
        )
        if tried.failure(together, failing, 2) is None:
            return together.joined(failing)
    return replace(
        found,
        groups=tuple(
            replace(group, reasons=(failure,))
            if group.can_change and (failure := failures[group.name]) is not None
            else group
            for group in found.groups
        ),
    )


def _kept_sizes(found: Channels, model: nn.Module, examples: Sequence[Tensor]) -> Kept:
    """The sizes in views that stay when everything that can grow is twice as wide, against expectation."""
    free = [group for group in found.groups if group.can_change]
    counts = {family: 2 * found.units_in(family) for group in free for family in found.families_of(group)}
    try:
        real = trace(wider(found, model, free, 2), examples).as_traced.network.operator_by_name
    except ModelError:
        return frozenset()
    old, expected = found.network.operator_by_name, resized_network(found, counts).operator_by_name
    return frozenset(
        (name, position)
        for name in {name for name, _ in found.cuts}
        if name in real and len(real[name].output_shape) == len(old[name].output_shape)
        for position, size in enumerate(old[name].output_shape)
        if real[name].output_shape[position] == size != expected[name].output_shape[position]
    )
