"""Give layers other widths; what is tied to them follows."""

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from narrower.data.parts import Part
from narrower.errors import SettingsError
from narrower.graph.groups import Channels, Copies, Group
from narrower.graph.own_copy import own_copy
from narrower.graph.trace import trace
from narrower.tasks.task import Ending
from narrower.transform.importance import Importance
from narrower.transform.new_sizes import Weights, changed_copy
from narrower.transform.tried_channels import tried_channels
from narrower.transform.tries import failure_of, outputs_of

TOLERANCE = 1e-4  # of net2net's outputs, relative to their largest


def resize(
    model: nn.Module,
    example: Tensor | Sequence[Tensor],
    widths: Mapping[str, float] | None = None,
    *,
    channels: Mapping[str, int] | None = None,
    weights: Weights = "slice",
    importance: Importance = "l2",
    data: Part | None = None,
    seed: int = 0,
) -> nn.Module:
    """Return a copy of ``model`` whose layers have other widths; ``model`` is left as it is.

    ``widths`` are multipliers by layer, ``channels`` numbers of channels by layer. Layers that must agree
    with a named one (by an addition, a depthwise convolution, ...) follow; naming two of them with different
    widths is an error. ``example`` holds at least 2 samples.

    ``weights``: ``slice`` keeps the most important channels and fills what is new at random; ``net2net``
    (Chen et al. 2016) copies channels when growing, so that the outputs stay equal to 1e-4 of the largest;
    ``scratch`` initialises every module anew. ``importance``: L2 norm of what a channel is computed with,
    the scale of its batch norm (Liu et al. 2017), or first-order Taylor on ``data`` (Molchanov et al. 2019).

    Raises:
        SettingsError: a width is no whole number, cannot change, or would not keep the outputs; the message
            names the layer and the reason.
    """
    examples = (example,) if isinstance(example, Tensor) else tuple(example)
    found = tried_channels(model, trace(model, examples), examples)
    counts = wanted_counts(found, widths or {}, channels or {})
    return with_counts(
        model, examples, found, counts, weights=weights, importance=importance, data=data, seed=seed
    )


def with_counts(
    model: nn.Module,
    examples: Sequence[Tensor],
    found: Channels,
    counts: Mapping[int, int],
    *,
    weights: Weights = "slice",
    importance: Importance = "l2",
    data: Part | None = None,
    seed: int = 0,
) -> nn.Module:
    """``resize`` for channels that were found before, and numbers of units by family.

    Raises:
        SettingsError: as ``resize``.
    """
    chooser = _keeper(model, found, counts, weights, importance, data, seed)
    copies = {family: chooser(family, count) for family, count in counts.items()}
    changed = changed_copy(model, found, copies, weights, seed)
    wanted = outputs_of(model, examples)
    failure = failure_of(changed, examples, wanted)
    if failure is not None:
        raise SettingsError(f"{_names(found, counts)}: its width cannot change: {failure}")
    if weights == "net2net":
        _check_same(wanted, outputs_of(changed, examples), found, counts)
    return changed


def wanted_counts(
    found: Channels, widths: Mapping[str, float], channels: Mapping[str, int]
) -> dict[int, int]:
    """The number of units of every family that changes.

    Raises:
        SettingsError: a width is impossible, or two contradict each other.
    """
    by_group: dict[str, tuple[str, float]] = {}
    for layer, wanted in [*widths.items(), *((name, None) for name in channels)]:
        group = found.group_of(layer)
        if wanted is None:
            wanted = channels[layer] / found.channels_of(layer)  # noqa: PLW2901
        if not wanted > 0 or not math.isfinite(wanted):
            raise SettingsError(f"{layer}: found {wanted:g} as its width; allowed: above 0")
        earlier = by_group.setdefault(group.name, (layer, wanted))
        if earlier[1] != wanted:
            raise SettingsError(
                f"{earlier[0]} and {layer} have the same channels, but were given {earlier[1]:g} and "
                f"{wanted:g} times their width"
            )
        found.new_width(group, wanted)
    counts = {}
    for layer, multiplier in by_group.values():
        group = found.group_of(layer)
        if multiplier != 1:
            for family, size in zip(found.families_of(group), group.families, strict=True):
                counts[family] = round(size * multiplier)
    return counts


def _keeper(
    model: nn.Module,
    found: Channels,
    counts: Mapping[int, int],
    weights: Weights,
    importance: Importance,
    data: Part | None,
    seed: int,
) -> Callable[[int, int], Copies]:
    """Which old unit each new one is."""
    scores = None
    if weights != "scratch" and any(count < found.units_in(family) for family, count in counts.items()):
        scores = _scores(model, found, importance, data)
    chance = torch.Generator().manual_seed(seed)

    def chosen(family: int, count: int) -> Copies:
        size = found.units_in(family)
        if count >= size:
            rounds = [*range(size)] * (count // size)
            rest = torch.randperm(size, generator=chance)[: count % size].tolist()
            return tuple(rounds + sorted(rest))
        if scores is None:
            return tuple(range(count))
        best = sorted(range(size), key=lambda unit: (-scores[family, unit], unit))[:count]
        return tuple(sorted(best))

    return chosen


def _scores(
    model: nn.Module, found: Channels, importance: Importance, data: Part | None
) -> dict[tuple[int, int], float]:
    """How important each unit of each family is."""
    parameters = dict(model.named_parameters())
    values: dict[str, Tensor] = {}
    if importance == "taylor":
        if data is None:
            raise SettingsError("the importance 'taylor' needs data: inputs and their classes")
        values = _taylor(model, data)
    elif importance == "batch_norm":
        norms = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
        values = {
            f"{path}.weight": module.weight.detach().abs()
            for path, module in model.named_modules()
            if isinstance(module, norms) and module.affine
        }
    if importance == "l2" or not values:
        values = {name: parameter.detach() ** 2 for name, parameter in parameters.items()}
    scores: dict[tuple[int, int], float] = dict.fromkeys(found.all_units(), 0.0)
    for group in found.groups:
        for name, position in group.dimensions:
            if name not in values or (importance == "l2" and (name, position) not in found.sources):
                continue
            flat = (
                values[name].transpose(0, position).flatten(1)
                if values[name].dim() > 1
                else values[name][:, None]
            )
            for unit, value in zip(found.units(name, position), flat.sum(dim=1).tolist(), strict=True):
                if unit in scores:
                    scores[unit] += value
    return scores


def _taylor(model: nn.Module, data: Part) -> dict[str, Tensor]:
    examined = own_copy(model).eval()
    loss = data.task.loss(Ending()).of_samples(examined(*data.arguments), data.targets).mean()
    names, parameters = zip(*examined.named_parameters(), strict=True)
    slopes = torch.autograd.grad(loss, parameters, allow_unused=True)
    return {
        name: (parameter.detach() * slope).abs()
        for name, parameter, slope in zip(names, parameters, slopes, strict=True)
        if slope is not None
    }


def _check_same(
    wanted: Sequence[Tensor], outputs: Sequence[Tensor], found: Channels, counts: Mapping[int, int]
) -> None:
    largest = max(float(tensor.abs().max()) for tensor in wanted)
    difference = max(float((a - b).abs().max()) for a, b in zip(wanted, outputs, strict=True))
    if not difference <= TOLERANCE * max(largest, 1e-6):
        changing = _groups(found, counts)
        tied = [
            f"{name} is tied: it both gives and takes these channels"
            for group in changing
            for name, position in group.dimensions
            if found.is_source(name, position) and found.is_consumer(name, position)
        ]
        notes = tied + [note for group in changing for note in group.notes]
        is_whole = all(count % found.units_in(family) == 0 for family, count in counts.items())
        if is_whole:
            notes.sort(key=lambda note: "averages" in note)  # an average over whole copies stays the same
        why = notes[0] if notes else "channels are dropped, or used in a way that copies change"
        raise SettingsError(
            f"{_names(found, counts)}: net2net cannot keep the outputs at this width ({why}; they would "
            f"change by {difference:.2g}); try {'' if is_whole else 'a whole multiplier, or '}weights = slice"
        )


def _groups(found: Channels, counts: Mapping[int, int]) -> list[Group]:
    return [group for group in found.groups if set(found.families_of(group)) & counts.keys()]


def _names(found: Channels, counts: Mapping[int, int]) -> str:
    return ", ".join(group.name for group in _groups(found, counts)) or "the model"
