"""Targets that are made of the inputs: what is given back, what comes next, what was masked, what is odd."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from narrower.data.given_inputs import IGNORED, MASK
from narrower.data.parts import DataSet, Part
from narrower.data.prepared import giving_back
from narrower.data.request import DataRequest
from narrower.errors import DataError
from narrower.tasks.catalogue import TASKS, output_names
from narrower.tasks.task import Task

MASKED_SHARE = 0.15  # Devlin et al. (2019), as are the next two
REPLACED_SHARE = 0.8  # of the masked tokens: they become the mask
RANDOM_SHARE = 0.1  # they become any token
WITHOUT_TARGET = ("reconstruction", "language-modelling", "masked-language-modelling")


def has_derived_targets(task: str | None) -> bool:
    """Whether a task's targets are made of the inputs."""
    return task in DERIVED


def with_derived_targets(data: DataSet, request: DataRequest, seed: int) -> DataSet:
    """The same samples with targets made of them, for the task that is asked for.

    Raises:
        DataError: they cannot be made.
    """
    return DERIVED[str(request.task)](data, request, seed)


def _reconstruction(data: DataSet, _request: DataRequest, _seed: int) -> DataSet:
    _check_real(data)
    task = TASKS["reconstruction"]
    parts = {name: replace(part, targets=part.inputs, task=task) for name, part in data.parts.items()}
    return _giving_back(data, parts)


def _anomalies(data: DataSet, request: DataRequest, _seed: int) -> DataSet:
    _check_real(data)
    if data.train.targets.is_floating_point() or data.train.targets.dim() != 1:
        raise DataError(f"data set {data.name!r}: anomalies need a target of kinds, of which one is usual")
    number, notes = _usual_class(data, request)
    parts = {}
    for name, part in data.parts.items():
        odd, kept = part.targets != number, part
        if name == "train" and bool(odd.any()):
            notes.append(
                f"{int(odd.sum()):,} odd samples of the training part are left out: the usual is learned"
            )
            kept = part.at(~odd)
            odd = odd[~odd]
        elif name != "train" and (bool(odd.all()) or not bool(odd.any())):
            raise DataError(
                f"data set {data.name!r}: the {name} part has {'odd' if bool(odd.any()) else 'usual'} "
                "samples alone; "
                "both kinds are needed to rank them"
            )
        rows = torch.cat([kept.inputs.flatten(1), odd[:, None].to(kept.inputs.dtype)], dim=1)
        parts[name] = replace(kept, targets=rows, task=TASKS["anomalies"])
    if not len(parts["train"]):
        raise DataError(
            f"data set {data.name!r}: no training sample is usual ({data.output_names[number]!r})"
        )
    return _giving_back(data, parts, tuple(notes))


def _usual_class(data: DataSet, request: DataRequest) -> tuple[int, list[str]]:
    names = data.output_names
    if request.normal is not None:
        if request.normal not in names:
            raise DataError(f"normal: found {request.normal!r}; allowed: {', '.join(names)}")
        return names.index(request.normal), []
    number = int(torch.bincount(data.train.targets).argmax())
    return number, [f"{names[number]!r}, the most frequent, is taken for usual; normal = '...' names another"]


def _next_tokens(data: DataSet, request: DataRequest, _seed: int) -> DataSet:
    _check_tokens(data)
    parts = {}
    for name, part in data.parts.items():
        following = part.inputs.roll(-1, dims=1)
        following[:, -1] = IGNORED
        targets = torch.where(_counting(data, part).roll(-1, dims=1), following, IGNORED)
        parts[name] = replace(part, targets=_without(targets, request.pad), task=TASKS["language-modelling"])
    return _data_set(data, parts, _token_names(data))


def _masked_tokens(data: DataSet, request: DataRequest, seed: int) -> DataSet:
    _check_tokens(data)
    largest = max(int(part.inputs.max()) for part in data.parts.values())
    mask = largest + 1 if request.mask is None else int(request.mask)
    notes = (
        () if request.mask is not None else (f"token {mask}, the first that is free, is taken for the mask",)
    )
    chance = torch.Generator().manual_seed(seed)
    parts = {}
    for name, part in data.parts.items():
        ids = part.inputs
        draws = torch.rand(ids.shape, generator=chance)
        if request.pad is not None:
            draws[ids == int(request.pad)] = 2.0
        draws[~_counting(data, part)] = 2.0
        # At least one of each sequence, so that each counts.
        chosen = draws <= draws.amin(dim=1, keepdim=True).clamp(min=MASKED_SHARE, max=1.0)
        kind = torch.rand(ids.shape, generator=chance)
        others = torch.randint(0, largest + 1, ids.shape, generator=chance)
        hidden = torch.where(kind < REPLACED_SHARE, torch.full_like(ids, mask), ids)
        hidden = torch.where(
            (kind >= REPLACED_SHARE) & (kind < REPLACED_SHARE + RANDOM_SHARE), others, hidden
        )
        parts[name] = Part(
            torch.where(chosen, hidden, ids),
            torch.where(chosen, ids, torch.full_like(ids, IGNORED)),
            part.more,
            TASKS["masked-language-modelling"],
        )
    return _data_set(data, parts, tuple(str(number) for number in range(max(mask, largest) + 1)), notes)


Derive = Callable[[DataSet, DataRequest, int], DataSet]
DERIVED: Mapping[str | None, Derive] = {
    "reconstruction": _reconstruction,
    "anomalies": _anomalies,
    "language-modelling": _next_tokens,
    "masked-language-modelling": _masked_tokens,
}


def with_task(data: DataSet, task: Task) -> DataSet:
    """The same samples and targets for another task."""
    parts = {name: replace(part, task=task) for name, part in data.parts.items()}
    names = output_names(task) or data.output_names
    return replace(data, **parts, output_names=names, content_hash="")  # type: ignore[arg-type]


def _giving_back(data: DataSet, parts: Mapping[str, Part], notes: tuple[str, ...] = ()) -> DataSet:
    """What foretells its inputs, so that outputs are scaled as they are."""
    made = _data_set(data, parts, _value_names(data), notes)
    return replace(made, prepared=giving_back(data.prepared))


def _data_set(
    data: DataSet, parts: Mapping[str, Part], names: tuple[str, ...], notes: tuple[str, ...] = ()
) -> DataSet:
    return DataSet(
        data.name,
        parts["train"],
        parts["validation"],
        parts["test"],
        names,
        data.feature_names,
        notes=(*data.notes, *notes),
        argument_names=data.argument_names,
        prepared=data.prepared,
    )


def _check_real(data: DataSet) -> None:
    if not data.train.inputs.is_floating_point():
        raise DataError(
            f"data set {data.name!r}: the inputs are whole numbers; what is given back must be real ones"
        )


def _check_tokens(data: DataSet) -> None:
    inputs = data.train.inputs
    if inputs.is_floating_point() or inputs.dim() != 2:  # noqa: PLR2004 - [N, places]
        raise DataError(
            f"data set {data.name!r}: the inputs are {inputs.dtype} of shape {tuple(inputs.shape)}; expected "
            "whole "
            "numbers [N, places], the tokens of sequences"
        )


def _value_names(data: DataSet) -> tuple[str, ...]:
    values = data.train.inputs[0].numel()
    named = len(data.feature_names) == values
    return data.feature_names if named else tuple(f"value_{number}" for number in range(values))


def _counting(data: DataSet, part: Part) -> Tensor:
    """Which places of sequences count, by the argument that says so: all, where there is none."""
    for name, argument in zip(data.argument_names[1:], part.more, strict=True) if data.argument_names else ():
        if name == MASK and argument.shape == part.inputs.shape:
            return argument.bool()
    return torch.ones_like(part.inputs, dtype=torch.bool)


def _token_names(data: DataSet) -> tuple[str, ...]:
    largest = max(int(part.inputs.max()) for part in data.parts.values())
    return tuple(str(number) for number in range(largest + 1))


def _without(targets: Tensor, pad: float | None) -> Tensor:
    return (
        targets
        if pad is None
        else torch.where(targets == int(pad), torch.full_like(targets, IGNORED), targets)
    )
