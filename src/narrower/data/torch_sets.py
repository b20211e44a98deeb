"""Inputs and targets of a Dataset or DataLoader of PyTorch's."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from narrower.errors import DataError
from narrower.own_code.failures import own_code

TARGETS = ("labels", "label", "targets", "target", "y", "class")  # of a dictionary's keys
PAIR = 2  # inputs and a target


def is_torch_set(value: object) -> bool:
    """Whether something is a Dataset or a DataLoader."""
    return isinstance(value, Dataset | DataLoader)


def target_among(keys: Iterable[Any], wanted: Sequence[str]) -> str | None:
    """The key that holds targets: the one that is asked for, or the only one with a usual name."""
    names = [str(key) for key in keys]
    if wanted:
        return wanted[0] if wanted[0] in names else None
    found = [name for name in TARGETS if name in names]
    return found[0] if len(found) == 1 else None


def inputs_and_targets(where: str, given: Any, wanted: Sequence[str], *, has_target: bool) -> tuple[Any, Any]:
    """All inputs of a Dataset, and all targets; None in their place where there are none.

    Inputs are a dictionary where samples are dictionaries, a tuple where they have several inputs, or else a
    list. Of a DataLoader its Dataset is read, in its order; one that puts batches together in a way of its
    own is asked for its batches.

    Raises:
        DataError: it raises, holds nothing, or samples differ in what they have.
    """
    with own_code(f"{where}: reading its samples", DataError):
        samples = list(_samples(given))
    if not samples:
        raise DataError(f"{where}: the Dataset holds no samples")
    first = samples[0]
    if isinstance(first, Mapping):
        return _of_mappings(where, samples, wanted, has_target=has_target)
    if isinstance(first, tuple | list):
        if any(not isinstance(sample, tuple | list) or len(sample) != len(first) for sample in samples):
            raise DataError(f"{where}: some samples have {len(first)} parts, and others another number")
        columns = list(zip(*samples, strict=True))
        inputs, targets = (columns[:-1], columns[-1]) if has_target or len(columns) > 1 else (columns, None)
        if isinstance(inputs[0][0], Mapping):
            return _of_mappings(where, inputs[0], wanted, has_target=False)[0], _column(targets)
        if len(inputs) > 1:
            return tuple(np.stack([np.asarray(one) for one in column]) for column in inputs), _column(targets)
        if not inputs:
            raise DataError(f"{where}: its samples are lists of one; expected (input, target)")
        return _column(inputs[0]), _column(targets)
    if has_target:
        raise DataError(
            f"{where}: its samples are {type(first).__name__}; expected (input, target), or a dictionary"
        )
    return _column(samples), None


def _samples(given: Any) -> Iterator[Any]:
    if not isinstance(given, DataLoader):
        if hasattr(given, "__len__"):  # a Dataset need not end by itself when it is iterated
            yield from (given[number] for number in range(len(given)))
        else:
            yield from given
    elif given.collate_fn is default_collate or given.batch_size is None:
        yield from _samples(given.dataset)
    else:
        for batch in given:
            yield from _apart(batch)


def _apart(batch: Any) -> Iterator[Any]:
    """The samples of a batch."""
    if isinstance(batch, Mapping):
        keys = list(batch)
        for values in zip(*(_apart(batch[key]) for key in keys), strict=True):
            yield dict(zip(keys, values, strict=True))
    elif isinstance(batch, tuple | list) and batch and isinstance(batch[0], Tensor | Mapping | tuple | list):
        yield from zip(*map(_apart, batch), strict=True)
    else:
        yield from batch


def _of_mappings(
    where: str, samples: Sequence[Mapping[str, Any]], wanted: Sequence[str], *, has_target: bool
) -> tuple[dict[str, Any], Any]:
    keys = list(samples[0])
    if any(set(sample) != set(keys) for sample in samples):
        raise DataError(f"{where}: some samples have the keys {keys}, and others have other keys")
    target = target_among(keys, wanted)
    if has_target and target is None:
        raise DataError(
            f"{where}: which of {keys} is the target? say target = one of them, or call it {TARGETS[0]!r}"
        )
    columns = {key: _column([sample[key] for sample in samples]) for key in keys}
    targets = columns.pop(target, None) if target is not None else None
    return columns, targets


def _column(values: Sequence[Any] | None) -> Any:
    """Values of samples as one array, where they are of one shape; else as a list."""
    if values is None:
        return None
    if all(isinstance(value, Tensor) for value in values):
        same = len({tuple(value.shape) for value in values}) == 1
        return torch.stack(list(values)) if same else [value.tolist() for value in values]
    if all(isinstance(value, np.ndarray) for value in values):
        same = len({value.shape for value in values}) == 1
        return np.stack(list(values)) if same else [value.tolist() for value in values]
    return list(values)
