"""Give layers other widths; what is tied to them follows."""

import copy
import math
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from narrower.errors import SettingsError
from narrower.graph.groups import Channels, Copies, Group, find_channels
from narrower.graph.trace import trace

Weights = Literal["slice", "net2net", "scratch"]
Importance = Literal["l2", "batch_norm", "taylor"]
TOLERANCE = 1e-4  # of net2net's outputs, relative to their largest


@dataclass(frozen=True)
class TaylorData:
    """Samples for the first-order Taylor importance: inputs [N, ...] and their classes [N]."""

    inputs: Tensor
    targets: Tensor


def resize(
    model: nn.Module,
    example: Tensor | Sequence[Tensor],
    widths: Mapping[str, float] | None = None,
    *,
    channels: Mapping[str, int] | None = None,
    weights: Weights = "slice",
    importance: Importance = "l2",
    data: TaylorData | None = None,
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
    found = find_channels(model, trace(model, examples))
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
    data: TaylorData | None = None,
    seed: int = 0,
) -> nn.Module:
    """``resize`` for channels that were found before, and numbers of units by family.

    Raises:
        SettingsError: as ``resize``.
    """
    chooser = _keeper(model, found, counts, weights, importance, data, seed)
    copies = {family: chooser(family, count) for family, count in counts.items()}
    changed = _changed(model, found, copies, weights, seed)
    was_training = model.training
    _check_runs(changed.eval(), examples, found, counts)
    if weights == "net2net":
        _check_same(model, changed, examples, found, counts)
    return changed.train(was_training)


def groups(model: nn.Module, example: Tensor | Sequence[Tensor]) -> tuple[Group, ...]:
    """Which channels change together, in the order of the model's parameters.

    Each group that looks free is tried at another width: a view with a constant in it shows only then.
    """
    examples = (example,) if isinstance(example, Tensor) else tuple(example)
    found = find_channels(model, trace(model, examples))
    return tuple(_tried(model, examples, found, group) for group in found.groups)


def _tried(model: nn.Module, examples: Sequence[Tensor], found: Channels, group: Group) -> Group:
    if not group.can_change:
        return group
    copies = {
        family: (*range(size), 0)
        for family, size in zip(found.families_of(group), group.families, strict=True)
    }
    changed = _changed(model, found, copies, "net2net", 0).eval()
    try:
        with torch.no_grad():
            changed(*examples)
    except Exception as error:
        return replace(group, reasons=(_reason(error),))
    return group


def _reason(error: Exception) -> str:
    """What went wrong in the user's own line."""
    lines = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "/torch/" not in frame.filename and not frame.filename.endswith("transform/resized.py")
    ]
    where = f"{Path(lines[-1].filename).name}:{lines[-1].lineno}: " if lines else ""
    return f"another width does not run: {where}{str(error).strip().splitlines()[0]}"


def with_tensors(model: nn.Module, tensors: Mapping[str, Tensor]) -> nn.Module:
    """Return a copy of ``model`` that holds tensors of other widths; the sizes of its modules follow.

    Raises:
        SettingsError: a tensor of the model is missing, or there is one too many.
    """
    names = set(model.state_dict())
    if names != set(tensors):
        odd = sorted(names ^ set(tensors))[0]
        raise SettingsError(
            f"these are not the tensors of {type(model).__name__}: {odd} is in one of both only"
        )
    changed = copy.deepcopy(model)
    made: dict[int, nn.Parameter | Tensor] = {}
    for path, module in changed.named_modules():
        for store in (module._parameters, module._buffers):
            for own, tensor in store.items():
                name = f"{path}.{own}" if path else own
                if tensor is None or name not in tensors:
                    continue
                if id(tensor) not in made:
                    new = tensors[name].clone()
                    is_parameter = isinstance(tensor, nn.Parameter)
                    made[id(tensor)] = nn.Parameter(new, tensor.requires_grad) if is_parameter else new
                store[own] = made[id(tensor)]
        _set_sizes(module, _depthwise(model, path))
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
            wanted = channels[layer] / (group.width * group.unit)  # noqa: PLW2901
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
    data: TaylorData | None,
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
    model: nn.Module, found: Channels, importance: Importance, data: TaylorData | None
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


def _taylor(model: nn.Module, data: TaylorData) -> dict[str, Tensor]:
    examined = copy.deepcopy(model).eval()
    loss = F.cross_entropy(examined(data.inputs), data.targets)
    names, parameters = zip(*examined.named_parameters(), strict=True)
    slopes = torch.autograd.grad(loss, parameters, allow_unused=True)
    return {
        name: (parameter.detach() * slope).abs()
        for name, parameter, slope in zip(names, parameters, slopes, strict=True)
        if slope is not None
    }


def _changed(
    model: nn.Module, found: Channels, copies: Mapping[int, Copies], weights: Weights, seed: int
) -> nn.Module:
    changed = copy.deepcopy(model)
    made: dict[int, nn.Parameter | Tensor] = {}
    for path, module in changed.named_modules(remove_duplicate=True):
        for store in (module._parameters, module._buffers):
            for own, tensor in store.items():
                if tensor is None:
                    continue
                name = found.first_name(f"{path}.{own}" if path else own)
                if id(tensor) not in made:
                    made[id(tensor)] = _tensor(tensor, name, found, copies, weights)
                store[own] = made[id(tensor)]
        _set_sizes(module, _depthwise(model, path))
    if weights == "scratch" or (weights == "slice" and any(len(set(c)) < len(c) for c in copies.values())):
        _initialise(changed, found, copies, weights, seed)
    return changed


def _tensor(
    tensor: Tensor, name: str, found: Channels, copies: Mapping[int, Copies], weights: Weights
) -> Tensor | nn.Parameter:
    new = tensor.detach()
    for position in range(tensor.dim()):
        indices = found.indices(name, position, copies)
        if indices is None or indices == list(range(tensor.shape[position])):
            continue
        new = new.index_select(position, torch.tensor(indices, device=new.device))
        if weights == "net2net" and not found.is_source(name, position) and found.is_consumer(name, position):
            units = found.units(name, position)
            shares = []
            for index in indices:
                family, unit = units[index]
                shares.append(1 / copies[family].count(unit) if family in copies else 1.0)
            shape = [1] * tensor.dim()
            shape[position] = len(shares)
            new = new * torch.tensor(shares, dtype=new.dtype).view(shape)
    new = new.clone()
    return nn.Parameter(new, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else new


def _initialise(
    changed: nn.Module, found: Channels, copies: Mapping[int, Copies], weights: Weights, seed: int
) -> None:
    """Draw all parameters anew (scratch), or those of the channels that are new (slice)."""
    kept = {name: tensor.detach().clone() for name, tensor in changed.state_dict().items()}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for module in changed.modules():
            reset = getattr(module, "reset_parameters", None) or getattr(module, "_reset_parameters", None)
            if callable(reset):
                reset()
    if weights == "scratch":
        return
    state = changed.state_dict()
    for name, tensor in state.items():
        is_new = torch.zeros(tensor.shape, dtype=torch.bool)
        own = found.first_name(name)
        for position in range(tensor.dim()):
            indices = found.indices(own, position, copies)
            if indices is None:
                continue
            fresh = [index in indices[:number] for number, index in enumerate(indices)]
            shape = [1] * tensor.dim()
            shape[position] = len(fresh)
            is_new |= torch.tensor(fresh).view(shape)
        tensor.copy_(torch.where(is_new, tensor, kept[name]))


def _depthwise(model: nn.Module, path: str) -> bool:
    module = model.get_submodule(path) if path else model
    return (
        isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d)
        and module.groups > 1
        and module.groups == module.in_channels
    )


def _set_sizes(module: nn.Module, is_depthwise: bool) -> None:
    """Bring what a module says of its sizes in line with its parameters."""
    weight: Any = getattr(module, "weight", None)
    sized: Any = module
    if isinstance(module, nn.Linear):
        sized.out_features, sized.in_features = weight.shape
    elif isinstance(module, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d):
        sized.in_channels, sized.out_channels = weight.shape[0], weight.shape[1] * module.groups
    elif isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        if is_depthwise:
            sized.groups = weight.shape[0] // (module.out_channels // module.in_channels)
        sized.out_channels, sized.in_channels = weight.shape[0], weight.shape[1] * module.groups
    elif isinstance(module, nn.modules.batchnorm._NormBase):
        held = weight if weight is not None else module.running_mean
        if held is not None:
            sized.num_features = len(held)
    elif isinstance(module, nn.LayerNorm) and weight is not None:
        sized.normalized_shape = tuple(weight.shape)
    elif isinstance(module, nn.GroupNorm) and weight is not None:
        sized.num_channels = len(weight)
    elif isinstance(module, nn.Embedding):
        sized.num_embeddings, sized.embedding_dim = weight.shape
    elif isinstance(module, nn.PReLU):
        sized.num_parameters = len(weight)
    elif isinstance(module, nn.MultiheadAttention) and module.in_proj_weight is not None:
        sized.embed_dim = sized.kdim = sized.vdim = module.in_proj_weight.shape[1]
        sized.num_heads = module.embed_dim // module.head_dim


def _check_runs(
    changed: nn.Module, examples: Sequence[Tensor], found: Channels, counts: Mapping[int, int]
) -> None:
    try:
        with torch.no_grad():
            changed(*examples)
    except Exception as error:
        raise SettingsError(f"{_names(found, counts)}: its width cannot change: {_reason(error)}") from error


def _check_same(
    model: nn.Module,
    changed: nn.Module,
    examples: Sequence[Tensor],
    found: Channels,
    counts: Mapping[int, int],
) -> None:
    was_training = model.training
    with torch.no_grad():
        wanted, outputs = model.eval()(*examples), changed(*examples)
    model.train(was_training)
    largest = float(wanted.abs().max())
    difference = float((wanted - outputs).abs().max())
    if not difference <= TOLERANCE * max(largest, 1e-6):
        changing = _groups(found, counts)
        tied = [
            f"{name} is tied: it both gives and takes these channels"
            for group in changing
            for name, position in group.dimensions
            if found.is_source(name, position) and found.is_consumer(name, position)
        ]
        notes = tied + [note for group in changing for note in group.notes]
        why = notes[0] if notes else "channels are dropped, or used in a way that copies change"
        raise SettingsError(
            f"{_names(found, counts)}: net2net cannot keep the outputs at this width ({why}; they would "
            f"change by {difference:.2g}); try a whole multiplier, or weights = slice"
        )


def _groups(found: Channels, counts: Mapping[int, int]) -> list[Group]:
    return [group for group in found.groups if set(found.families_of(group)) & counts.keys()]


def _names(found: Channels, counts: Mapping[int, int]) -> str:
    return ", ".join(group.name for group in _groups(found, counts)) or "the model"
